#include "memory/dense_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "base/temp_dir.h"
#include "formats/gguf.h"
#include "models/tiny_model.h"

namespace ondine::testing {
namespace {

using Vector = std::vector<double>;
using Rows = std::vector<Vector>;

class Dense {
 public:
  Dense() {
    const TempDir folder;
    EXPECT_TRUE(WriteTinyModel(model_, folder.File("m.gguf")));
    const auto file = formats::GgufFile::Open(folder.File("m.gguf"));
    for (const formats::GgufTensor& tensor : file->tensors()) {
      std::vector<float> floats(static_cast<std::size_t>(tensor.Elements()));
      std::memcpy(floats.data(), tensor.data.data(), tensor.data.size());
      const auto in = static_cast<std::size_t>(tensor.shape[0]);
      Rows& rows = tensors_[tensor.name];
      for (std::size_t i = 0; i < floats.size(); i += in) {
        rows.emplace_back(floats.begin() + static_cast<std::ptrdiff_t>(i),
                          floats.begin() + static_cast<std::ptrdiff_t>(i + in));
      }
    }
  }

  DenseRun Run(const std::vector<std::int32_t>& tokens) {
    Rows x;
    for (const std::int32_t token : tokens) {
      x.push_back(tensors_.at("token_embd.weight")[static_cast<std::size_t>(token)]);
    }
    DenseRun run;
    for (int layer = 0; layer < model_.layers; ++layer) {
      const std::string p = "blk." + std::to_string(layer) + ".";
      Attention(p, x, run);
      for (Vector& row : x) {
        const Vector normed = Norm(row, p + "ffn_norm.weight");
        Vector gate = Times(p + "ffn_gate.weight", normed);
        const Vector up = Times(p + "ffn_up.weight", normed);
        for (std::size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
        Add(Times(p + "ffn_down.weight", gate), row);
      }
    }
    run.surprise.assign(tokens.size(), 0.0);
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      const Vector logits = Times("token_embd.weight", Norm(x[i], "output_norm.weight"));
      double sum = 0;
      for (double logit : logits) sum += std::exp(logit);
      run.surprise[i + 1] = std::log(sum) - logits[static_cast<std::size_t>(tokens[i + 1])];
    }
    return run;
  }

 private:
  static void Add(const Vector& from, Vector& to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  }

  Vector Times(const std::string& name, const Vector& x) const {
    Vector y;
    for (const Vector& row : tensors_.at(name)) {
      double sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i) sum += row[i] * x[i];
      y.push_back(sum);
    }
    return y;
  }

  Vector Norm(const Vector& x, const std::string& name) const {
    const Vector& weight = tensors_.at(name)[0];
    double squares = 0;
    for (double v : x) squares += v * v;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + 1e-5);
    Vector y(x);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= scale * weight[i];
    return y;
  }

  // The elements of a pair are neighbours, as in GGUF files of the llama family.
  void Rotate(Vector& heads, std::size_t position) const {
    const int dims = model_.head_dim;
    for (std::size_t i = 0; i < heads.size(); i += 2) {
      const double pair = static_cast<double>(i % static_cast<std::size_t>(dims));
      const double angle = static_cast<double>(position) * std::pow(10000.0, -pair / dims);
      const double a = heads[i], b = heads[i + 1];
      heads[i] = a * std::cos(angle) - b * std::sin(angle);
      heads[i + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
  }

  void Attention(const std::string& p, Rows& x, DenseRun& run) const {
    Rows q, k, v;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Vector normed = Norm(x[i], p + "attn_norm.weight");
      q.push_back(Times(p + "attn_q.weight", normed));
      k.push_back(Times(p + "attn_k.weight", normed));
      v.push_back(Times(p + "attn_v.weight", normed));
      Rotate(q.back(), i);
      Rotate(k.back(), i);
    }
    const auto dim = static_cast<std::size_t>(model_.head_dim);
    const auto group = static_cast<std::size_t>(model_.heads / model_.kv_heads);
    const std::size_t n = x.size();
    Rows attended(n, Vector(q[0].size()));
    auto& products = run.products.emplace_back();
    auto& weights = run.weights.emplace_back();
    for (std::size_t h = 0; h < static_cast<std::size_t>(model_.heads); ++h) {
      products.emplace_back(n, Vector(n));
      weights.emplace_back(n, Vector(n));
      const std::size_t kv = h / group * dim;
      for (std::size_t i = 0; i < n; ++i) {
        double sum = 0;
        for (std::size_t j = 0; j <= i; ++j) {
          double& product = products[h][i][j];
          for (std::size_t c = 0; c < dim; ++c) product += q[i][h * dim + c] * k[j][kv + c];
          product /= std::sqrt(static_cast<double>(dim));
          sum += weights[h][i][j] = std::exp(product);
        }
        for (std::size_t j = 0; j <= i; ++j) {
          weights[h][i][j] /= sum;
          for (std::size_t c = 0; c < dim; ++c) {
            attended[i][h * dim + c] += weights[h][i][j] * v[j][kv + c];
          }
        }
      }
    }
    for (std::size_t i = 0; i < n; ++i) Add(Times(p + "attn_output.weight", attended[i]), x[i]);
  }

  TinyModel model_{.architecture = "llama"};
  std::map<std::string, Rows> tensors_;
};

}  // namespace

DenseRun RunDense(const std::vector<std::int32_t>& tokens) {
  return Dense().Run(tokens);
}

}  // namespace ondine::testing
