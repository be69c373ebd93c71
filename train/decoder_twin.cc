#include "train/decoder_twin.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "compute/rope.h"
#include "train/guard.h"

namespace ondine::train {
namespace {

using torch::Tensor;

Tensor Dequantized(const compute::Linear& linear, const torch::Device& device) {
  Tensor rows = torch::empty({linear.out(), linear.in()});
  for (std::int64_t i = 0; i < linear.out(); ++i) {
    linear.GetRow(i, rows.data_ptr<float>() + i * linear.in());
  }
  return rows.to(device);
}

Tensor Vector(const std::vector<float>& values, const torch::Device& device) {
  return values.empty() ? Tensor() : torch::tensor(values).to(device);
}

// Values of one kind of all rows, padded at the end.
Tensor Padded(std::span<const TokenTree* const> rows, std::vector<std::int32_t> TokenTree::*values,
              std::int64_t time) {
  Tensor padded = torch::zeros({static_cast<std::int64_t>(rows.size()), time}, torch::kLong);
  std::int64_t* out = padded.data_ptr<std::int64_t>();
  for (const TokenTree* row : rows) {
    std::copy((row->*values).begin(), (row->*values).end(), out);
    out += time;
  }
  return padded;
}

}  // namespace

Result<DecoderTwin> DecoderTwin::Create(const models::Decoder& decoder, torch::Device device,
                                        torch::Dtype precision) {
  return Guarded([&]() -> Result<DecoderTwin> {
    DecoderTwin twin(decoder.spec(), device);
    twin.embedding_ = Dequantized(decoder.embedding(), device);
    const bool shared = &decoder.head() == &decoder.embedding();
    twin.head_ = shared ? twin.embedding_ : Dequantized(decoder.head(), device);
    const auto norm = [&](const models::NormWeights& weights) -> NormTensors {
      return {Vector(weights.weight, device), Vector(weights.bias, device)};
    };
    if (decoder.positions().present()) twin.positions_ = Dequantized(decoder.positions(), device);
    twin.final_norm_ = norm(decoder.final_norm());
    for (const models::DecoderLayer& from : decoder.layers()) {
      Layer& to = twin.layers_.emplace_back();
      for (std::size_t i = 0; i < models::kLoraPlaces.size(); ++i) {
        const compute::Linear& matrix = from.*models::kLoraPlaces[i].weights;
        if (matrix.present()) to.weights[i] = Dequantized(matrix, device).to(precision);
      }
      const auto set_bias = [&](LoraSite site, const std::vector<float>& bias) {
        to.biases[static_cast<std::size_t>(site)] = Vector(bias, device);
      };
      set_bias(LoraSite::kQuery, from.query_bias);
      set_bias(LoraSite::kKey, from.key_bias);
      set_bias(LoraSite::kValue, from.value_bias);
      set_bias(LoraSite::kOutput, from.output_bias);
      set_bias(LoraSite::kUp, from.up_bias);
      set_bias(LoraSite::kDown, from.down_bias);
      to.attention_norm = norm(from.attention_norm);
      to.post_attention_norm = norm({from.post_attention_norm, {}});
      to.mlp_norm = norm(from.mlp_norm);
      to.post_mlp_norm = norm({from.post_mlp_norm, {}});
      to.query_norm = norm({from.query_norm, {}});
      to.key_norm = norm({from.key_norm, {}});
    }
    return twin;
  });
}

std::vector<NamedWeight> DecoderTwin::Weights() const {
  std::vector<NamedWeight> all;
  const auto add = [&](const std::string& name, const Tensor& values) {
    if (values.defined()) all.push_back({name, values});
  };
  const auto add_norm = [&](const std::string& name, const NormTensors& norm) {
    add(name + ".weight", norm.weight);
    add(name + ".bias", norm.bias);
  };
  add("token_embd.weight", embedding_);
  if (!head_.is_same(embedding_)) add("output.weight", head_);
  add("position_embd.weight", positions_);
  add_norm("output_norm", final_norm_);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const std::string prefix = "blk." + std::to_string(i) + ".";
    for (const models::LoraPlace& place : models::kLoraPlaces) {
      const std::string name = prefix + std::string(place.tensor);
      add(name + ".weight", layer.weights[static_cast<std::size_t>(place.site)]);
      add(name + ".bias", layer.biases[static_cast<std::size_t>(place.site)]);
    }
    add_norm(prefix + "attn_norm", layer.attention_norm);
    add_norm(prefix + "post_attention_norm", layer.post_attention_norm);
    add_norm(prefix + "ffn_norm", layer.mlp_norm);
    add_norm(prefix + "post_ffw_norm", layer.post_mlp_norm);
    add_norm(prefix + "attn_q_norm", layer.query_norm);
    add_norm(prefix + "attn_k_norm", layer.key_norm);
  }
  return all;
}

Tensor DecoderTwin::Hidden(std::span<const TokenTree* const> rows, const Changes& changes) const {
  std::size_t longest = 0;
  for (const TokenTree* row : rows) longest = std::max(longest, row->size());
  const auto time = static_cast<std::int64_t>(longest);

  std::array<std::optional<Geometry>, 2> geometries;
  Tensor x = Embed(rows, time);
  for (int i = 0; i < spec_.layers; ++i) {
    const bool local = spec_.IsLocal(i);
    std::optional<Geometry>& geometry = geometries[local ? 1 : 0];
    if (!geometry) geometry = MakeGeometry(rows, time, local);
    x = Block(i, x, *geometry, changes);
  }
  return Norm(x, final_norm_);
}

Tensor DecoderTwin::Block(int index, const Tensor& x, const Geometry& geometry,
                          const Changes& changes) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  Tensor y = Attention(index, x, geometry, changes);
  const Tensor attended = x + (spec_.post_norms ? Norm(y, layer.post_attention_norm) : y);
  y = Mlp(index, attended, changes);
  return attended + (spec_.post_norms ? Norm(y, layer.post_mlp_norm) : y);
}

Tensor DecoderTwin::Embed(std::span<const TokenTree* const> rows, std::int64_t time) const {
  const Tensor tokens = Padded(rows, &TokenTree::tokens, time).to(device_);
  const Tensor embedded = torch::embedding(embedding_, tokens) * spec_.embedding_scale;
  if (!positions_.defined()) return embedded;
  return embedded +
         torch::embedding(positions_, Padded(rows, &TokenTree::positions, time).to(device_));
}

DecoderTwin::Geometry DecoderTwin::MakeGeometry(std::span<const TokenTree* const> rows,
                                                std::int64_t time, bool local) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  const Tensor positions = Padded(rows, &TokenTree::positions, time);
  const Tensor branches = Padded(rows, &TokenTree::branches, time);
  // [rows][time of the query][time of the key]
  const Tensor of_key = branches.unsqueeze(1), of_query = branches.unsqueeze(2);
  Tensor seen =
      torch::ones({time, time}, torch::kBool).tril() & ((of_key == 0) | (of_key == of_query));
  if (local) seen = seen & (positions.unsqueeze(2) - positions.unsqueeze(1) < spec_.window);

  Geometry geometry;
  geometry.mask = torch::zeros({count, time, time})
                      .masked_fill(~seen, -std::numeric_limits<float>::infinity())
                      .view({count, 1, 1, time, time})
                      .to(device_);

  compute::Rope rope(local ? spec_.local_rope : spec_.rope);
  const std::int64_t dims = rope.settings().dims;
  rope.Reserve(time);
  Tensor cosines = torch::empty({time, dims}), sines = torch::empty({time, dims});
  for (std::int64_t i = 0; i < time; ++i) {
    rope.Angles(i, cosines.data_ptr<float>() + i * dims, sines.data_ptr<float>() + i * dims);
  }
  const std::vector<std::int64_t> shape = {count, time, 1, dims};
  const Tensor index = positions.flatten();
  geometry.cosines = cosines.index_select(0, index).view(shape).to(device_);
  geometry.sines = sines.index_select(0, index).view(shape).to(device_);
  return geometry;
}

Tensor DecoderTwin::Project(int index, LoraSite site, const Tensor& x,
                            const Changes& changes) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const auto i = static_cast<std::size_t>(site);
  const Tensor& weights = layer.weights[i];
  const Quantizer* quantizer = changes.quantizer;
  Tensor y = quantizer == nullptr ? torch::linear(x.to(weights.dtype()), weights).to(torch::kFloat)
                                  : quantizer->Product(index, site, x, weights);
  const Tensor& bias = layer.biases[i];
  if (bias.defined()) y = y + (quantizer == nullptr ? bias : quantizer->Bias(index, site, bias));
  const Tensor delta =
      changes.additions == nullptr ? Tensor() : changes.additions->Delta(index, site, x);
  return delta.defined() ? y + delta : y;
}

Tensor DecoderTwin::NormedInput(int index, models::FoldSite fold, models::CodeSite code,
                                const Tensor& x, const NormTensors& norm,
                                const Changes& changes) const {
  const Quantizer* quantizer = changes.quantizer;
  if (quantizer == nullptr) return Norm(x, norm);
  NormTensors scaled = {quantizer->OfNorm(index, fold, norm.weight), norm.bias};
  if (norm.bias.defined()) scaled.bias = quantizer->OfNorm(index, fold, norm.bias);
  return quantizer->Input(index, code, Norm(x, scaled));
}

Tensor DecoderTwin::Attention(int index, const Tensor& residual, const Geometry& geometry,
                              const Changes& changes) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const Tensor x =
      NormedInput(index, models::FoldSite::kAttentionNorm, models::CodeSite::kAttention, residual,
                  layer.attention_norm, changes);
  const std::int64_t rows = x.size(0), time = x.size(1), dim = spec_.head_dim;
  const std::int64_t kv_heads = spec_.kv_heads, group = spec_.heads / spec_.kv_heads;
  const auto heads = [&](LoraSite site) {
    return Project(index, site, x, changes).view({rows, time, -1, dim});
  };
  Tensor q = heads(LoraSite::kQuery), k = heads(LoraSite::kKey);
  if (spec_.qk_norm) {
    q = Norm(q, layer.query_norm);
    k = Norm(k, layer.key_norm);
  }
  q = Rotate(q, geometry).transpose(1, 2).reshape({rows, kv_heads, group * time, dim});
  k = Rotate(k, geometry).permute({0, 2, 3, 1});  // [rows][kv_heads][dim][time]
  const Tensor v = heads(LoraSite::kValue).transpose(1, 2);

  Tensor scores =
      (torch::matmul(q, k) * spec_.attention_scale).view({rows, kv_heads, group, time, time});
  const Tensor weights =
      torch::softmax(scores + geometry.mask, -1).view({rows, kv_heads, group * time, time});
  Tensor attended = torch::matmul(weights, v)
                        .view({rows, spec_.heads, time, dim})
                        .transpose(1, 2)
                        .reshape({rows, time, spec_.query_width()});
  if (changes.quantizer != nullptr) {
    attended = changes.quantizer->Input(index, models::CodeSite::kOutput, attended);
  }
  return Project(index, LoraSite::kOutput, attended, changes);
}

Tensor DecoderTwin::Mlp(int index, const Tensor& residual, const Changes& changes) const {
  const Tensor x = NormedInput(index, models::FoldSite::kMlpNorm, models::CodeSite::kMlp, residual,
                               layers_[static_cast<std::size_t>(index)].mlp_norm, changes);
  const auto activate = [&](const Tensor& gate) {
    return spec_.activation == compute::GateActivation::kSilu ? torch::silu(gate)
                                                              : torch::gelu(gate, "tanh");
  };
  const Tensor up = Project(index, LoraSite::kUp, x, changes);
  Tensor gated =
      spec_.gated ? activate(Project(index, LoraSite::kGate, x, changes)) * up : activate(up);
  if (changes.quantizer != nullptr) {
    gated = changes.quantizer->Input(index, models::CodeSite::kDown, gated);
  }
  return Project(index, LoraSite::kDown, gated, changes);
}

// heads [rows][time][heads][dim]
Tensor DecoderTwin::Rotate(const Tensor& heads, const Geometry& geometry) const {
  const std::int64_t dims = geometry.cosines.size(-1), dim = heads.size(-1);
  if (dims == 0) return heads;
  const Tensor x = dims == dim ? heads : heads.narrow(-1, 0, dims);
  // The other element of a pair, whose sine has the sign.
  const Tensor partner = spec_.rope.neighbours ? x.unflatten(-1, {dims / 2, 2}).flip(-1).flatten(-2)
                                               : x.roll(dims / 2, -1);
  const Tensor rotated = x * geometry.cosines + partner * geometry.sines;
  return dims == dim ? rotated : torch::cat({rotated, heads.narrow(-1, dims, dim - dims)}, -1);
}

Tensor DecoderTwin::Norm(const Tensor& x, const NormTensors& norm) const {
  if (norm.bias.defined()) {
    return torch::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, spec_.norm_epsilon);
  }
  return x * torch::rsqrt(x.square().mean(-1, true) + spec_.norm_epsilon) * norm.weight;
}

Tensor DecoderTwin::Logits(const Tensor& hidden) const {
  return torch::linear(hidden, head_);
}

Tensor DecoderTwin::LogLikelihoods(const Tensor& hidden, const Tensor& sources,
                                   const Tensor& targets) const {
  // A target's own logit is computed by itself: to take it out of the logits would cost a gradient
  // as large as all of them.
  const Tensor own = (hidden.index_select(0, sources) * head_.index_select(0, targets)).sum(-1);
  return own - torch::logsumexp(Logits(hidden), -1).index_select(0, sources);
}

}  // namespace ondine::train
