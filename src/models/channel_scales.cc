#include "models/channel_scales.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "models/layer_tensor.h"

namespace ondine::models {
namespace {

constexpr std::string_view kBaseKey = "ondine.fold.base_fingerprint";

std::string SiteKey(std::size_t site) {
  return "ondine.fold." + std::string(kFoldSiteNames[site]);
}

// The scale of each channel that queries' heads see of the values that they share.
std::vector<float> OfQueryChannels(const DecoderSpec& spec, const std::vector<float>& of_kv) {
  if (of_kv.empty()) return {};
  std::vector<float> scales;
  const int group = spec.heads / spec.kv_heads;
  for (int head = 0; head < spec.heads; ++head) {
    const auto begin = of_kv.begin() + (head / group) * spec.head_dim;
    scales.insert(scales.end(), begin, begin + spec.head_dim);
  }
  return scales;
}

// The scale of each row of queries, keys and values together.
std::vector<float> OfProjections(const DecoderSpec& spec, const std::vector<float>& of_values) {
  if (of_values.empty()) return {};
  std::vector<float> scales(static_cast<std::size_t>(spec.query_width() + spec.kv_width()), 1.0f);
  scales.insert(scales.end(), of_values.begin(), of_values.end());
  return scales;
}

}  // namespace

std::int64_t FoldWidth(const DecoderSpec& spec, FoldSite site) {
  switch (site) {
    case FoldSite::kAttentionNorm:
    case FoldSite::kMlpNorm: return spec.width;
    case FoldSite::kValue: return spec.kv_width();
    case FoldSite::kUp: return spec.gated ? spec.hidden : 0;
  }
  return 0;
}

bool IsLayerMatrix(std::string_view tensor) {
  const auto parsed = ParseLayerTensor(tensor);
  constexpr std::array<std::string_view, 8> kMatrices = {
      "attn_q.weight",      "attn_k.weight",   "attn_v.weight", "attn_qkv.weight",
      "attn_output.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"};
  return parsed && std::ranges::find(kMatrices, parsed->name) != kMatrices.end();
}

TensorFold FoldOf(const DecoderSpec& spec, const ChannelScales& scales, std::string_view tensor) {
  const auto parsed = ParseLayerTensor(tensor);
  if (!parsed || parsed->layer >= scales.size()) return {};
  const LayerScales& layer = scales[parsed->layer];
  const std::string_view name = parsed->name;
  if (name == "attn_norm.weight" || name == "attn_norm.bias") {
    return {layer.at(FoldSite::kAttentionNorm), {}};
  }
  if (name == "ffn_norm.weight" || name == "ffn_norm.bias") {
    return {layer.at(FoldSite::kMlpNorm), {}};
  }
  if (name == "attn_q.weight" || name == "attn_k.weight") {
    return {{}, layer.at(FoldSite::kAttentionNorm)};
  }
  if (name == "attn_v.weight")
    return {layer.at(FoldSite::kValue), layer.at(FoldSite::kAttentionNorm)};
  if (name == "attn_v.bias") return {layer.at(FoldSite::kValue), {}};
  if (name == "attn_qkv.weight") {
    return {OfProjections(spec, layer.at(FoldSite::kValue)), layer.at(FoldSite::kAttentionNorm)};
  }
  if (name == "attn_qkv.bias") return {OfProjections(spec, layer.at(FoldSite::kValue)), {}};
  if (name == "attn_output.weight") return {{}, OfQueryChannels(spec, layer.at(FoldSite::kValue))};
  if (name == "ffn_gate.weight") return {{}, layer.at(FoldSite::kMlpNorm)};
  if (name == "ffn_up.weight") return {layer.at(FoldSite::kUp), layer.at(FoldSite::kMlpNorm)};
  if (name == "ffn_down.weight") return {{}, layer.at(FoldSite::kUp)};
  return {};
}

std::vector<float> InputScales(const DecoderSpec& spec, const LayerScales& scales, CodeSite site) {
  switch (site) {
    case CodeSite::kAttention: return scales.at(FoldSite::kAttentionNorm);
    case CodeSite::kOutput: return OfQueryChannels(spec, scales.at(FoldSite::kValue));
    case CodeSite::kMlp: return scales.at(FoldSite::kMlpNorm);
    case CodeSite::kDown: return scales.at(FoldSite::kUp);
  }
  return {};
}

Result<std::optional<Fold>> ReadFold(const formats::GgufFile& file, const DecoderSpec& spec) {
  Fold fold;
  ONDINE_ASSIGN(const auto base, file.FindString(kBaseKey));
  if (!base) return std::nullopt;
  fold.base_fingerprint = *base;
  fold.scales.resize(static_cast<std::size_t>(spec.layers));
  for (std::size_t site = 0; site < kFoldSites; ++site) {
    ONDINE_ASSIGN(const auto* values, file.FindFloats(SiteKey(site)));
    if (values == nullptr) continue;
    const auto width = static_cast<std::size_t>(FoldWidth(spec, static_cast<FoldSite>(site)));
    if (values->size() != width * fold.scales.size()) {
      return MakeError(ErrorCode::kCorrupt,
                       SiteKey(site) + " has " + std::to_string(values->size()) + " values for " +
                           std::to_string(width * fold.scales.size()) + " channels",
                       file.path());
    }
    for (const float value : *values) {
      if (!std::isfinite(value) || value <= 0) {
        return MakeError(ErrorCode::kCorrupt, SiteKey(site) + " holds a scale that is none",
                         file.path());
      }
    }
    for (std::size_t layer = 0; layer < fold.scales.size(); ++layer) {
      const auto begin = values->begin() + static_cast<std::ptrdiff_t>(layer * width);
      fold.scales[layer].of_site[site].assign(begin, begin + static_cast<std::ptrdiff_t>(width));
    }
  }
  return fold;
}

void WriteFold(const Fold& fold, const DecoderSpec& spec, formats::GgufWriter& writer) {
  writer.Set(std::string(kBaseKey), fold.base_fingerprint);
  for (std::size_t site = 0; site < kFoldSites; ++site) {
    std::vector<float> values;
    bool any = false;
    for (const LayerScales& layer : fold.scales) {
      const std::vector<float>& scales = layer.of_site[site];
      any |= !scales.empty();
      values.insert(values.end(), scales.begin(), scales.end());
      if (scales.empty()) {
        values.insert(values.end(),
                      static_cast<std::size_t>(FoldWidth(spec, static_cast<FoldSite>(site))), 1.0f);
      }
    }
    if (any) writer.Set(SiteKey(site), std::move(values));
  }
}

}  // namespace ondine::models
