#include "quant/scales_file.h"

#include <cmath>
#include <cstring>
#include <list>

#include "base/quote.h"
#include "base/try.h"
#include "models/base_fingerprint.h"

namespace ondine::quant {
namespace {

constexpr std::string_view kType = "channel-scales";
constexpr std::int64_t kVersion = 1;
constexpr std::string_view kRangesTensor = "ranges";

std::string SiteTensor(std::size_t site) {
  return "scales." + std::string(models::kFoldSiteNames[site]);
}

class Reader {
 public:
  Reader(const formats::GgufFile& file, const models::Decoder& decoder)
      : file_(file), decoder_(decoder) {}

  Result<Scales> Read() {
    ONDINE_TRY(CheckKind());
    ONDINE_ASSIGN(const auto name, file_.FindString("general.name"));
    ONDINE_ASSIGN(const auto architecture, file_.FindString("general.architecture"));
    ONDINE_ASSIGN(const auto base, file_.FindString("scales.base.fingerprint"));
    ONDINE_ASSIGN(const auto provenance, file_.FindString("scales.provenance"));
    if (!base) return Corrupt("scales.base.fingerprint is missing");
    if (*base != models::BaseFingerprint(decoder_)) {
      return MakeError(ErrorCode::kMismatch, "these scales were learned for another model",
                       file_.path());
    }
    scales_.name = name.value_or("");
    scales_.architecture = architecture.value_or("");
    scales_.base_fingerprint = *base;
    scales_.provenance = provenance.value_or("");
    ONDINE_TRY(ReadChannels());
    ONDINE_TRY(ReadRanges());
    return std::move(scales_);
  }

 private:
  tl::unexpected<Error> Corrupt(const std::string& what) const {
    return MakeError(ErrorCode::kCorrupt, what, file_.path());
  }

  Status CheckKind() const {
    ONDINE_ASSIGN(const auto type, file_.FindString("general.type"));
    ONDINE_ASSIGN(const auto version, file_.FindInt("scales.version"));
    if (!type || *type != kType) {
      return MakeError(ErrorCode::kUnsupported,
                       "not a file of channel scales: general.type is " +
                           (type ? base::Quote(*type) : "missing"),
                       file_.path());
    }
    if (!version || *version != kVersion) {
      return MakeError(
          ErrorCode::kUnsupported,
          "scales of this version cannot be read; known is " + std::to_string(kVersion),
          file_.path());
    }
    return {};
  }

  // Floats [layers][width]; empty where there is no such tensor.
  Result<std::vector<float>> Floats(const std::string& name, std::int64_t width) const {
    const formats::GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) return std::vector<float>();
    if (tensor->type != formats::TensorType::kF32 || tensor->shape[0] != width ||
        tensor->Elements() != width * decoder_.spec().layers) {
      return Corrupt("the tensor " + name + " does not fit the model");
    }
    std::vector<float> values(static_cast<std::size_t>(tensor->Elements()));
    std::memcpy(values.data(), tensor->data.data(), values.size() * sizeof(float));
    return values;
  }

  Status ReadChannels() {
    const models::DecoderSpec& spec = decoder_.spec();
    scales_.channels.resize(static_cast<std::size_t>(spec.layers));
    for (std::size_t site = 0; site < models::kFoldSites; ++site) {
      const std::int64_t width = FoldWidth(spec, static_cast<models::FoldSite>(site));
      ONDINE_ASSIGN(const std::vector<float> values, Floats(SiteTensor(site), width));
      for (const float value : values) {
        if (!std::isfinite(value) || value <= 0) {
          return Corrupt(SiteTensor(site) + " holds a scale that is not positive");
        }
      }
      for (std::size_t layer = 0; layer < scales_.channels.size() && !values.empty(); ++layer) {
        const auto begin = values.begin() + static_cast<std::ptrdiff_t>(layer) * width;
        scales_.channels[layer].of_site[site].assign(begin, begin + width);
      }
    }
    return {};
  }

  Status ReadRanges() {
    ONDINE_ASSIGN(const std::vector<float> values,
                  Floats(std::string(kRangesTensor), 2 * models::kCodeSites));
    ONDINE_ASSIGN(const auto keeps_outliers, file_.FindBool("scales.keeps_outliers"));
    scales_.keeps_outliers = keeps_outliers.value_or(false);
    for (std::size_t i = 0; i < values.size(); i += 2) {
      const Range range = {values[i], values[i + 1]};
      if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > 0 ||
          range.high < 0) {
        return Corrupt(std::string(kRangesTensor) + " holds a range that is none");
      }
      const std::size_t index = i / 2;
      if (index % models::kCodeSites == 0) scales_.ranges.emplace_back();
      scales_.ranges.back()[index % models::kCodeSites] = range;
    }
    return {};
  }

  const formats::GgufFile& file_;
  const models::Decoder& decoder_;
  Scales scales_;
};

}  // namespace

Result<Scales> ReadScales(const formats::GgufFile& file, const models::Decoder& decoder) {
  return Reader(file, decoder).Read();
}

Status WriteScales(const Scales& scales, const models::DecoderSpec& spec, const std::string& path) {
  formats::GgufWriter file;
  file.Set("general.type", std::string(kType));
  file.Set("general.architecture", scales.architecture);
  file.Set("general.name", scales.name);
  file.Set("scales.version", kVersion);
  file.Set("scales.base.fingerprint", scales.base_fingerprint);
  file.Set("scales.provenance", scales.provenance);
  file.Set("scales.keeps_outliers", scales.keeps_outliers);
  std::list<std::vector<float>> tensors;  // live until they are written
  const auto add = [&](const std::string& name, std::int64_t width, std::vector<float> values) {
    tensors.push_back(std::move(values));
    file.Add(name, formats::TensorType::kF32, std::array{width, std::int64_t{spec.layers}},
             std::as_bytes(std::span(tensors.back())));
  };
  for (std::size_t site = 0; site < models::kFoldSites; ++site) {
    const std::int64_t width = FoldWidth(spec, static_cast<models::FoldSite>(site));
    std::vector<float> values;
    for (const models::LayerScales& layer : scales.channels) {
      values.insert(values.end(), layer.of_site[site].begin(), layer.of_site[site].end());
    }
    if (!values.empty()) add(SiteTensor(site), width, std::move(values));
  }
  std::vector<float> ranges;
  for (const LayerRanges& layer : scales.ranges) {
    for (const Range& range : layer) ranges.insert(ranges.end(), {range.low, range.high});
  }
  if (!ranges.empty()) {
    add(std::string(kRangesTensor), 2 * models::kCodeSites, std::move(ranges));
  }
  return file.Write(path);
}

}  // namespace ondine::quant
