#include "models/quantization.h"

#include "base/quote.h"
#include "base/try.h"

namespace ondine::models {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::string_view kPrefix = "ondine.quantization.";

std::string Key(std::string_view name) {
  return std::string(kPrefix) + std::string(name);
}

}  // namespace

std::string ScalesName(std::string_view matrix) {
  return std::string(matrix) + "_scales";
}

Result<std::optional<Quantization>> ReadQuantization(const formats::GgufFile& file, int layers) {
  ONDINE_ASSIGN(const std::optional<std::int64_t> version, file.FindInt(Key("version")));
  if (!version) return std::nullopt;
  if (*version != kVersion) {
    return MakeError(ErrorCode::kUnsupported,
                     "8-bit weights of version " + std::to_string(*version) +
                         "; this program knows version " + std::to_string(kVersion),
                     file.path());
  }
  Quantization quantization;
  ONDINE_ASSIGN(const auto scheme, file.FindString(Key("scheme")));
  ONDINE_ASSIGN(const auto per_channel, file.FindBool(Key("per_channel")));
  ONDINE_ASSIGN(const auto provenance, file.FindString(Key("provenance")));
  ONDINE_ASSIGN(const auto keeps_outliers, file.FindBool(Key("keeps_outliers")));
  ONDINE_ASSIGN(const auto largest, file.FindInt(Key("largest_code")));
  ONDINE_ASSIGN(const auto* scales, file.FindFloats(Key("input_scales")));
  ONDINE_ASSIGN(const auto zeros, file.FindInts(Key("input_zeros")));
  const std::size_t count = static_cast<std::size_t>(layers) * kCodeSites;
  if (!scheme || !per_channel || !largest || scales == nullptr || !zeros ||
      scales->size() != count || zeros->size() != count) {
    return MakeError(ErrorCode::kCorrupt,
                     "the keys " + Key("*") + " do not describe " + std::to_string(count) +
                         " inputs of 8-bit matrices",
                     file.path());
  }
  quantization.scheme = *scheme;
  quantization.per_channel = *per_channel;
  quantization.provenance = provenance.value_or("");
  quantization.layers.resize(static_cast<std::size_t>(layers));
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t zero = (*zeros)[i];
    if (*largest < 1 || *largest > 255 || zero < 0 || zero > *largest) {
      return MakeError(ErrorCode::kCorrupt,
                       Key("input_zeros") + " or " + Key("largest_code") + " is out of range",
                       file.path());
    }
    quantization.layers[i / kCodeSites].of_site[i % kCodeSites] = {
        (*scales)[i], static_cast<std::int32_t>(zero), static_cast<std::int32_t>(*largest),
        keeps_outliers.value_or(false)};
  }
  return quantization;
}

void WriteQuantization(const Quantization& quantization, const std::string& floats,
                       formats::GgufWriter& writer) {
  std::vector<float> scales;
  std::vector<std::int64_t> zeros;
  std::int64_t largest = 255;
  bool keeps_outliers = false;
  for (const LayerCodes& layer : quantization.layers) {
    for (const compute::StaticCode& code : layer.of_site) {
      scales.push_back(code.scale);
      zeros.push_back(code.zero);
      largest = code.largest;
      keeps_outliers = code.keeps_outliers;
    }
  }
  writer.Set(Key("version"), kVersion);
  writer.Set(Key("scheme"), quantization.scheme);
  writer.Set(Key("per_channel"), quantization.per_channel);
  writer.Set(Key("provenance"), quantization.provenance);
  writer.Set(Key("float"), floats + (keeps_outliers ? ", inputs outside of their ranges" : ""));
  writer.Set(Key("keeps_outliers"), keeps_outliers);
  writer.Set(Key("largest_code"), largest);
  writer.Set(Key("input_scales"), std::move(scales));
  writer.Set(Key("input_zeros"), std::move(zeros));
}

}  // namespace ondine::models
