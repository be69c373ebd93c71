#include "adapters/pool_file.h"

#include <array>
#include <cmath>
#include <list>
#include <span>

#include "adapters/lora_file.h"
#include "base/quote.h"
#include "base/try.h"
#include "compute/half.h"
#include "models/tensor_floats.h"

namespace ondine::adapters {
namespace {

constexpr const char* kType = "adapter-pool";
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMostAdapters = 1024;

class Reader {
 public:
  Reader(const formats::GgufFile& file, compute::ThreadPool& threads)
      : file_(file), threads_(threads) {}

  Result<Pool> Read() {
    ONDINE_TRY(CheckKind());
    ONDINE_TRY(ReadSettings());
    ONDINE_TRY(ReadIndicators());
    for (const formats::GgufTensor& tensor : file_.tensors()) {
      const std::string_view name = tensor.name;
      if (name.ends_with(kLoraA)) {
        ONDINE_TRY(ReadMatrix(tensor, std::string(name.substr(0, name.size() - kLoraA.size()))));
      }
    }
    const std::size_t expected = 2 + 2 * pool_.matrices.size();
    if (pool_.matrices.empty() || file_.tensors().size() != expected) {
      return Corrupt("has " + std::to_string(file_.tensors().size()) + " tensors, of which only " +
                     std::to_string(expected) + " make up a pool");
    }
    return std::move(pool_);
  }

 private:
  tl::unexpected<Error> Corrupt(std::string message) const {
    return MakeError(ErrorCode::kCorrupt, std::move(message), file_.path());
  }

  Result<std::string> Text(const char* key) const {
    ONDINE_ASSIGN(auto value, file_.FindString(key));
    if (!value) return Corrupt(std::string("the key ") + key + " is missing");
    return std::move(*value);
  }

  // A number above 0.
  Result<double> Positive(const char* key) const {
    ONDINE_ASSIGN(const auto value, file_.FindNumber(key));
    if (!value || !std::isfinite(*value) || !(*value > 0)) {
      return Corrupt(std::string(key) + " must be a number above 0");
    }
    return *value;
  }

  Result<std::int64_t> Count(const char* key, std::int64_t most) const {
    ONDINE_ASSIGN(const auto value, file_.FindInt(key));
    if (!value || *value < 1 || *value > most) {
      return Corrupt(std::string(key) + " must be a number from 1 to " + std::to_string(most));
    }
    return *value;
  }

  Status CheckKind() const {
    ONDINE_ASSIGN(const auto type, file_.FindString("general.type"));
    if (!type || *type != kType) {
      return MakeError(ErrorCode::kUnsupported,
                       std::string("not a pool of adapters: general.type is ") +
                           (type ? base::Quote(*type) : "missing"),
                       file_.path());
    }
    ONDINE_ASSIGN(const auto version, file_.FindInt("pool.version"));
    if (!version || *version != kVersion) {
      return MakeError(ErrorCode::kUnsupported,
                       "pools of this version cannot be read; known is " + std::to_string(kVersion),
                       file_.path());
    }
    return {};
  }

  Status ReadSettings() {
    pool_.name = file_.path();
    ONDINE_ASSIGN(pool_.architecture, Text("general.architecture"));
    ONDINE_ASSIGN(pool_.base_name, Text("pool.base.name"));
    ONDINE_ASSIGN(pool_.base_fingerprint, Text("pool.base.fingerprint"));
    ONDINE_ASSIGN(pool_.training, Text("pool.training"));
    ONDINE_ASSIGN(pool_.provenance, Text("pool.provenance"));
    ONDINE_ASSIGN(const std::string form, Text("pool.blend"));
    const auto known = ParseBlendForm(form);
    if (!known) return Corrupt("pool.blend: " + known.error().message);
    pool_.form = *known;
    ONDINE_ASSIGN(pool_.alpha, Positive("pool.lora_alpha"));
    ONDINE_ASSIGN(pool_.temperature, Positive("pool.temperature"));
    ONDINE_ASSIGN(adapters_, Count("pool.adapters", kMostAdapters));
    ONDINE_ASSIGN(rank_, Count("pool.rank", kMostRank));
    return {};
  }

  Result<const formats::GgufTensor*> Find(const std::string& name) const {
    const formats::GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) return Corrupt("the tensor " + name + " is missing");
    return tensor;
  }

  Status ReadIndicators() {
    ONDINE_ASSIGN(const auto* mean, Find("pool.mean"));
    ONDINE_ASSIGN(const auto* indicators, Find("pool.indicators"));
    const std::int64_t dims = mean->shape[0];
    if (mean->Elements() != dims || indicators->shape[0] != dims ||
        indicators->Elements() != dims * adapters_) {
      return Corrupt("pool.mean and pool.indicators do not fit together");
    }
    ONDINE_ASSIGN(pool_.tasks.mean, models::ReadFloats(file_, *mean, threads_));
    ONDINE_ASSIGN(const auto all, models::ReadFloats(file_, *indicators, threads_));
    for (std::int64_t n = 0; n < adapters_; ++n) {
      pool_.tasks.indicators.emplace_back(all.begin() + n * dims, all.begin() + (n + 1) * dims);
      double square = 0;
      for (const float x : pool_.tasks.indicators.back()) square += static_cast<double>(x) * x;
      if (std::abs(square - 1) > 1e-3) {
        return Corrupt("indicator " + std::to_string(n) + " has not length 1");
      }
    }
    return {};
  }

  Status ReadMatrix(const formats::GgufTensor& a, const std::string& matrix) {
    ONDINE_ASSIGN(const auto* b, Find(matrix + std::string(kLoraB)));
    const std::int64_t in = a.shape[0], out = b->shape[1];
    if (a.shape[1] != rank_ || b->shape[0] != rank_ || a.Elements() != in * rank_ * adapters_ ||
        b->Elements() != rank_ * out * adapters_) {
      return Corrupt("the factors of " + base::Quote(matrix) + " do not fit together");
    }
    ONDINE_ASSIGN(const auto all_a, models::ReadFloats(file_, a, threads_));
    ONDINE_ASSIGN(const auto all_b, models::ReadFloats(file_, *b, threads_));
    std::vector<LowRankFactors>& adapters = pool_.matrices[matrix];
    const std::int64_t a_size = rank_ * in, b_size = out * rank_;
    for (std::int64_t n = 0; n < adapters_; ++n) {
      adapters.push_back({in,
                          out,
                          rank_,
                          {all_a.begin() + n * a_size, all_a.begin() + (n + 1) * a_size},
                          {all_b.begin() + n * b_size, all_b.begin() + (n + 1) * b_size}});
    }
    return {};
  }

  const formats::GgufFile& file_;
  compute::ThreadPool& threads_;
  Pool pool_;
  std::int64_t adapters_ = 0, rank_ = 0;
};

}  // namespace

Result<Pool> ReadPool(const formats::GgufFile& file, compute::ThreadPool& pool) {
  return Reader(file, pool).Read();
}

Status WritePool(const Pool& pool, const std::string& path) {
  const auto adapters = static_cast<std::int64_t>(pool.size());
  const auto dims = static_cast<std::int64_t>(pool.tasks.mean.size());
  formats::GgufWriter file;
  file.Set("general.type", std::string(kType));
  file.Set("general.architecture", pool.architecture);
  file.Set("general.name", pool.name);
  file.Set("pool.version", kVersion);
  file.Set("pool.adapters", adapters);
  file.Set("pool.rank", pool.matrices.begin()->second.front().rank);
  file.Set("pool.lora_alpha", pool.alpha);
  file.Set("pool.temperature", pool.temperature);
  file.Set("pool.blend", std::string(BlendFormName(pool.form)));
  file.Set("pool.training", pool.training);
  file.Set("pool.provenance", pool.provenance);
  file.Set("pool.base.name", pool.base_name);
  file.Set("pool.base.fingerprint", pool.base_fingerprint);
  std::vector<float> indicators;
  for (const auto& one : pool.tasks.indicators) {
    indicators.insert(indicators.end(), one.begin(), one.end());
  }
  file.Add("pool.mean", formats::TensorType::kF32, std::array{dims},
           std::as_bytes(std::span(pool.tasks.mean)));
  file.Add("pool.indicators", formats::TensorType::kF32, std::array{dims, adapters},
           std::as_bytes(std::span(indicators)));
  std::list<std::vector<std::uint16_t>> halves;  // live until they are written
  const auto add = [&](const std::string& name, std::array<std::int64_t, 3> shape,
                       const std::vector<LowRankFactors>& all,
                       std::vector<float> LowRankFactors::*factor) {
    std::vector<float> values;
    for (const LowRankFactors& one : all) {
      values.insert(values.end(), (one.*factor).begin(), (one.*factor).end());
    }
    halves.push_back(compute::ToHalves(values));
    file.Add(name, formats::TensorType::kF16, shape, std::as_bytes(std::span(halves.back())));
  };
  for (const auto& [tensor, all] : pool.matrices) {
    const LowRankFactors& first = all.front();
    add(tensor + std::string(kLoraA), {first.in, first.rank, adapters}, all, &LowRankFactors::a);
    add(tensor + std::string(kLoraB), {first.rank, first.out, adapters}, all, &LowRankFactors::b);
  }
  return file.Write(path);
}

}  // namespace ondine::adapters
