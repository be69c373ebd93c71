#include "train/channel_quantizer.h"

#include <algorithm>

#include "train/fake_quant.h"
#include "train/tensors.h"

namespace ondine::train {
namespace {

using models::CodeSite;
using models::FoldSite;
using torch::Tensor;

// Which scales a matrix's columns are divided by and its rows multiplied by: models::FoldOf, for
// tensors.
struct MatrixFold {
  std::optional<FoldSite> columns, rows;
};
MatrixFold FoldOf(LoraSite site) {
  switch (site) {
    case LoraSite::kQuery:
    case LoraSite::kKey: return {FoldSite::kAttentionNorm, {}};
    case LoraSite::kValue: return {FoldSite::kAttentionNorm, FoldSite::kValue};
    case LoraSite::kOutput: return {FoldSite::kValue, {}};
    case LoraSite::kGate: return {FoldSite::kMlpNorm, {}};
    case LoraSite::kUp: return {FoldSite::kMlpNorm, FoldSite::kUp};
    case LoraSite::kDown: return {FoldSite::kUp, {}};
  }
  return {};
}

// What reads the channels of a site.
struct Site {
  CodeSite inputs;
  std::vector<LoraSite> readers;
};
Site SiteOf(FoldSite site) {
  switch (site) {
    case FoldSite::kAttentionNorm:
      return {CodeSite::kAttention, {LoraSite::kQuery, LoraSite::kKey, LoraSite::kValue}};
    case FoldSite::kMlpNorm: return {CodeSite::kMlp, {LoraSite::kGate, LoraSite::kUp}};
    case FoldSite::kValue: return {CodeSite::kOutput, {LoraSite::kOutput}};
    case FoldSite::kUp: return {CodeSite::kDown, {LoraSite::kDown}};
  }
  return {};
}

std::int64_t WidthOf(const models::DecoderSpec& spec, CodeSite site) {
  switch (site) {
    case CodeSite::kAttention:
    case CodeSite::kMlp: return spec.width;
    case CodeSite::kOutput: return spec.query_width();
    case CodeSite::kDown: return spec.hidden;
  }
  return 0;
}

}  // namespace

ChannelQuantizer::ChannelQuantizer(const models::DecoderSpec& spec,
                                   const std::vector<FoldSite>& sites,
                                   const QuantizationScheme& scheme, torch::Device device)
    : spec_(spec), scheme_(scheme), layers_(static_cast<std::size_t>(spec.layers)) {
  for (Layer& layer : layers_) {
    for (const FoldSite site : sites) {
      layer.logarithms[static_cast<std::size_t>(site)] =
          torch::zeros({FoldWidth(spec, site)}, torch::device(device)).requires_grad_();
    }
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      const Tensor zeros = torch::zeros({WidthOf(spec, static_cast<CodeSite>(site))}, device);
      layer.lowest[site] = zeros;
      layer.highest[site] = zeros.clone();
      layer.ends[site] = torch::zeros({2}, torch::device(device)).requires_grad_();
    }
  }
}

Tensor ChannelQuantizer::ScaleOf(int layer, FoldSite site) const {
  const Tensor& logarithms = at(layer).logarithms[static_cast<std::size_t>(site)];
  return logarithms.defined() ? logarithms.exp() : Tensor();
}

Tensor ChannelQuantizer::OfQueryChannels(const Tensor& of_kv) const {
  const std::int64_t group = spec_.heads / spec_.kv_heads;
  return of_kv.view({spec_.kv_heads, 1, spec_.head_dim})
      .expand({spec_.kv_heads, group, spec_.head_dim})
      .reshape({-1});
}

Tensor ChannelQuantizer::NormWeight(int layer, FoldSite site, const Tensor& weight) const {
  const Tensor scale = ScaleOf(layer, site);
  return scale.defined() ? weight * scale : weight;
}

Tensor ChannelQuantizer::Weights(int layer, LoraSite site, const Tensor& weights) const {
  const MatrixFold fold = FoldOf(site);
  Tensor folded = weights;
  if (fold.rows) {
    const Tensor scale = ScaleOf(layer, *fold.rows);
    if (scale.defined()) folded = folded * scale.unsqueeze(1);
  }
  if (fold.columns) {
    Tensor scale = ScaleOf(layer, *fold.columns);
    if (scale.defined() && site == LoraSite::kOutput) scale = OfQueryChannels(scale);
    if (scale.defined()) folded = folded / scale;
  }
  if (mode_ != Mode::kCode) return folded;
  return FakeWeights(folded, scheme_.weight_bits, scheme_.per_channel);
}

Tensor ChannelQuantizer::Bias(int layer, LoraSite site, const Tensor& bias) const {
  const MatrixFold fold = FoldOf(site);
  const Tensor scale = fold.rows ? ScaleOf(layer, *fold.rows) : Tensor();
  return scale.defined() ? bias * scale : bias;
}

Tensor ChannelQuantizer::InputScale(int layer, CodeSite site) const {
  switch (site) {
    case CodeSite::kAttention: return ScaleOf(layer, FoldSite::kAttentionNorm);
    case CodeSite::kMlp: return ScaleOf(layer, FoldSite::kMlpNorm);
    case CodeSite::kDown: return ScaleOf(layer, FoldSite::kUp);
    case CodeSite::kOutput: {
      const Tensor scale = ScaleOf(layer, FoldSite::kValue);
      return scale.defined() ? OfQueryChannels(scale) : scale;
    }
  }
  return {};
}

ChannelQuantizer::Limits ChannelQuantizer::RangeOf(int layer, CodeSite site) const {
  const auto i = static_cast<std::size_t>(site);
  const Tensor scale = InputScale(layer, site), factors = at(layer).ends[i].exp();
  const auto scaled = [&](const Tensor& limits) {
    return scale.defined() ? limits * scale : limits;
  };
  return {scaled(at(layer).lowest[i]).amin() * factors[0],
          scaled(at(layer).highest[i]).amax() * factors[1]};
}

Tensor ChannelQuantizer::Input(int layer, CodeSite site, const Tensor& x) const {
  if (mode_ == Mode::kObserve) {
    const torch::NoGradGuard no_gradient;
    const Tensor scale = InputScale(layer, site);
    const Tensor rows = (scale.defined() ? x / scale : x).flatten(0, -2);
    const auto i = static_cast<std::size_t>(site);
    at(layer).lowest[i].copy_(torch::minimum(at(layer).lowest[i], rows.amin(0)));
    at(layer).highest[i].copy_(torch::maximum(at(layer).highest[i], rows.amax(0)));
  }
  if (mode_ != Mode::kCode) return x;
  const Limits range = RangeOf(layer, site);
  return FakeCode(x, range.low, range.high, scheme_.activation_bits);
}

std::vector<Tensor> ChannelQuantizer::Logarithms(int layer) const {
  std::vector<Tensor> tensors;
  for (const Tensor& logarithms : at(layer).logarithms) {
    if (logarithms.defined()) tensors.push_back(logarithms);
  }
  return tensors;
}

std::vector<Tensor> ChannelQuantizer::Ends(int layer) const {
  return {at(layer).ends.begin(), at(layer).ends.end()};
}

void ChannelQuantizer::Clamp(int layer, double limit) {
  const torch::NoGradGuard no_gradient;
  for (Tensor& logarithms : Logarithms(layer)) logarithms.clamp_(-limit, limit);
}

void ChannelQuantizer::Smooth(int layer, double strength, const DecoderTwin& twin) {
  const torch::NoGradGuard no_gradient;
  for (std::size_t i = 0; i < models::kFoldSites; ++i) {
    const Tensor& logarithms = at(layer).logarithms[i];
    if (!logarithms.defined()) continue;
    const Site site = SiteOf(static_cast<FoldSite>(i));
    const auto code = static_cast<std::size_t>(site.inputs);
    Tensor inputs = torch::maximum(-at(layer).lowest[code], at(layer).highest[code]);
    Tensor weights = torch::zeros_like(inputs);
    for (const LoraSite reader : site.readers) {
      weights = torch::maximum(weights, twin.Weights(layer, reader).abs().amax(0));
    }
    if (static_cast<FoldSite>(i) == FoldSite::kValue) {
      const auto of_kv = [&](const Tensor& of_query) {
        return of_query.view({spec_.kv_heads, -1, spec_.head_dim}).amax(1).flatten();
      };
      inputs = of_kv(inputs);
      weights = of_kv(weights);
    }
    constexpr double kLeast = 1e-5;  // a channel that is never used
    const Tensor scale = (1 - strength) * weights.clamp_min(kLeast).log() -
                         strength * inputs.clamp_min(kLeast).log();
    logarithms.copy_(scale - scale.mean());
  }
}

models::ChannelScales ChannelQuantizer::Scales() const {
  models::ChannelScales scales(layers_.size());
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (std::size_t site = 0; site < models::kFoldSites; ++site) {
      const Tensor& logarithms = layers_[layer].logarithms[site];
      if (logarithms.defined()) scales[layer].of_site[site] = Floats(logarithms.exp());
    }
  }
  return scales;
}

std::vector<quant::LayerRanges> ChannelQuantizer::Ranges() const {
  const torch::NoGradGuard no_gradient;
  std::vector<quant::LayerRanges> all;
  for (int layer = 0; layer < spec_.layers; ++layer) {
    quant::LayerRanges& ranges = all.emplace_back();
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      const Limits limits = RangeOf(layer, static_cast<CodeSite>(site));
      ranges[site] = {limits.low.item<float>(), limits.high.item<float>()};
    }
  }
  return all;
}

}  // namespace ondine::train
