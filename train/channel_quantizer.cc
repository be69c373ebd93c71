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

CodeSite InputsOf(LoraSite site) {
  switch (site) {
    case LoraSite::kQuery:
    case LoraSite::kKey:
    case LoraSite::kValue: return CodeSite::kAttention;
    case LoraSite::kOutput: return CodeSite::kOutput;
    case LoraSite::kGate:
    case LoraSite::kUp: return CodeSite::kMlp;
    case LoraSite::kDown: return CodeSite::kDown;
  }
  return CodeSite::kAttention;
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
                                   const QuantizationScheme& scheme, torch::Device device,
                                   torch::Dtype precision)
    : spec_(spec),
      scheme_(scheme),
      precision_(precision),
      layers_(static_cast<std::size_t>(spec.layers)) {
  for (Layer& layer : layers_) {
    for (const FoldSite site : sites) {
      if (FoldWidth(spec, site) == 0) continue;
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

Tensor ChannelQuantizer::OfNorm(int layer, FoldSite site, const Tensor& values) const {
  const Tensor scale = ScaleOf(layer, site);
  return scale.defined() ? values * scale : values;
}

Tensor ChannelQuantizer::Folded(int layer, LoraSite site, const Tensor& weights) const {
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
  return folded;
}

Tensor ChannelQuantizer::Product(int layer, LoraSite site, const Tensor& x,
                                 const Tensor& weights) const {
  if (mode_ != Mode::kCode) return torch::linear(x, Folded(layer, site, weights));
  const auto& rounding = at(layer).roundings[static_cast<std::size_t>(site)];
  const FakeCodes codes = rounding ? rounding->Codes()
                                   : FakeWeights(Folded(layer, site, weights), scheme_.weight_bits,
                                                 scheme_.per_channel);
  const Limits range = RangeOf(layer, InputsOf(site));
  const Tensor scale =
      CodeScale(range.low, range.high, scheme_.activation_bits) * codes.scale.flatten();
  return torch::linear(x, codes.steps.to(precision_)).to(torch::kFloat) * scale;
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
  if (scheme_.outliers > 0) return {at(layer).current[i].first, at(layer).current[i].second};
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
  const bool keeps_outliers = scheme_.outliers > 0;
  if (keeps_outliers) {
    at(layer).current[static_cast<std::size_t>(site)] = RangeWithoutOutliers(x, scheme_.outliers);
  }
  const Limits range = RangeOf(layer, site);
  return FakeCode(x, range.low, range.high, scheme_.activation_bits, keeps_outliers)
      .steps.to(precision_);
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

void ChannelQuantizer::LearnRounding(int layer, const DecoderTwin& twin) {
  const torch::NoGradGuard no_gradient;
  for (const models::LoraPlace& place : models::kLoraPlaces) {
    const Tensor& weights = twin.Matrix(layer, place.site);
    if (!weights.defined()) continue;
    layers_[static_cast<std::size_t>(layer)]
        .roundings[static_cast<std::size_t>(place.site)]
        .emplace(Folded(layer, place.site, weights), scheme_.weight_bits, scheme_.per_channel);
  }
}

std::vector<Tensor> ChannelQuantizer::Roundings(int layer) const {
  std::vector<Tensor> tensors;
  for (const auto& rounding : at(layer).roundings) {
    if (rounding) tensors.push_back(rounding->parameter());
  }
  return tensors;
}

Tensor ChannelQuantizer::RoundingPenalty(int layer, double beta) const {
  std::vector<Tensor> penalties;
  for (const auto& rounding : at(layer).roundings) {
    if (rounding) penalties.push_back(rounding->Penalty(beta));
  }
  return torch::stack(penalties).mean();
}

ChannelQuantizer ChannelQuantizer::RoundingToNearest() const {
  ChannelQuantizer nearest = *this;
  for (Layer& layer : nearest.layers_) layer.roundings = {};
  return nearest;
}

Tensor ChannelQuantizer::RoundedWeights(int layer, LoraSite site) const {
  const torch::NoGradGuard no_gradient;
  const Tensor weights = at(layer).roundings[static_cast<std::size_t>(site)]->Weights();
  return weights / Folded(layer, site, torch::ones_like(weights));
}

void ChannelQuantizer::Clamp(int layer, double limit) {
  const torch::NoGradGuard no_gradient;
  for (Tensor& logarithms : Logarithms(layer)) logarithms.clamp_(-limit, limit);
}

quant::LargestInputs ChannelQuantizer::Largest() const {
  quant::LargestInputs largest(layers_.size());
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      largest[layer][site] =
          Floats(torch::maximum(-layers_[layer].lowest[site], layers_[layer].highest[site]));
    }
  }
  return largest;
}

void ChannelQuantizer::SetScales(const models::ChannelScales& scales) {
  const torch::NoGradGuard no_gradient;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (std::size_t site = 0; site < models::kFoldSites; ++site) {
      Tensor& logarithms = layers_[layer].logarithms[site];
      const std::vector<float>& values = scales[layer].of_site[site];
      if (logarithms.defined() && !values.empty()) {
        logarithms.copy_(torch::tensor(values).log());
      }
    }
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
  if (scheme_.outliers > 0) return all;
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
