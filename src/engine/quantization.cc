#include "ondine/quantization.h"

#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "base/checksum.h"
#include "base/file.h"
#include "base/guarded.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "engine/model_parts.h"
#include "engine/range_choice.h"
#include "formats/gguf.h"
#include "models/base_fingerprint.h"
#include "quant/calibration.h"
#include "quant/convert.h"
#include "quant/scales_file.h"
#include "quant/smoothing.h"
#include "text/tokenizer.h"

namespace ondine {
namespace {

using engine::CodesOf;
using engine::ParseScheme;
using engine::RangeRule;
using engine::Scheme;

class Job {
 public:
  Job(const std::string& model, const QuantizationOptions& options)
      : model_(model),
        options_(options),
        rule_{options.ranges, options.outliers},
        pool_(compute::ThreadCount(options.threads)) {}

  Result<QuantizationReport> Run(const std::string& out) {
    const base::Timer timer;
    if (options_.fold_only && options_.statistics) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "nothing becomes integers where scales are only folded in");
    }
    ONDINE_TRY(rule_.Check());
    ONDINE_ASSIGN(const Scheme scheme, ParseScheme(options_.scheme));
    ONDINE_TRY(base::CheckWritable(out));  // before minutes of work
    ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(model_));
    ONDINE_ASSIGN(const auto architecture, file.FindString("general.architecture"));
    if (architecture == "clip") {
      return MakeError(ErrorCode::kInvalidArgument,
                       "is a CLIP: name a folder of pictures for its ranges", model_);
    }
    ONDINE_ASSIGN(decoder_, models::Decoder::Load(file, pool_));
    if (decoder_->quantization() || decoder_->fold()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       decoder_->quantization() ? "the model is quantised to 8 bits already"
                                                : "scales are folded into the model already",
                       model_);
    }
    ONDINE_TRY(MakeScales(file));

    quant::ConversionOptions conversion;
    if (scales_) conversion.fold = {scales_->base_fingerprint, scales_->channels};
    if (!options_.fold_only) {
      ONDINE_ASSIGN(conversion.quantization, MakeQuantization(file, scheme));
      conversion.weight_bits = scheme.weight_bits;
    }
    conversion.stop_token = options_.stop_token;
    conversion.on_progress = [this](std::int64_t done, std::int64_t total) {
      Report("writing", done, total);
    };
    const models::DecoderSpec spec = decoder_->spec();
    decoder_.reset();  // a whole model's weights
    ONDINE_TRY(quant::Convert(file, spec, pool_, conversion, out));
    report_.bytes_before = static_cast<std::int64_t>(file.file_size());
    std::error_code error;
    report_.bytes_after = static_cast<std::int64_t>(std::filesystem::file_size(out, error));
    report_.seconds = timer.Elapsed();
    return report_;
  }

 private:
  Status MakeScales(const formats::GgufFile& file) {
    using models::FoldSite;
    constexpr std::array kNorms = {FoldSite::kAttentionNorm, FoldSite::kMlpNorm};
    constexpr std::array kSites = {FoldSite::kAttentionNorm, FoldSite::kMlpNorm, FoldSite::kUp};
    const std::span<const FoldSite> smoothed =
        !options_.fold_only && rule_.KeepsOutliers() ? std::span<const FoldSite>(kNorms) : kSites;
    const int choices =
        (options_.scales.empty() ? 0 : 1) + (options_.smooth ? 1 : 0) + (options_.equalize ? 1 : 0);
    if (choices > 1) {
      return MakeError(ErrorCode::kInvalidArgument, "more than one choice of channel scales");
    }
    if (choices == 0) {
      if (!options_.fold_only) return {};
      return MakeError(ErrorCode::kInvalidArgument, "there are no scales to fold in");
    }
    if (!options_.scales.empty()) {
      ONDINE_ASSIGN(const formats::GgufFile scales, formats::GgufFile::Open(options_.scales));
      ONDINE_ASSIGN(scales_, quant::ReadScales(scales, *decoder_));
      return {};
    }
    quant::Scales made;
    made.base_fingerprint = models::BaseFingerprint(*decoder_);
    if (options_.smooth) {
      if (!(*options_.smooth >= 0 && *options_.smooth <= 1)) {
        return MakeError(ErrorCode::kInvalidArgument,
                         "the strength of SmoothQuant's scales lies between 0 and 1");
      }
      ONDINE_ASSIGN(const quant::Calibration calibration, CalibrateOnText(file));
      quant::LargestInputs largest;
      for (const auto& layer : calibration.layers) {
        auto& of_layer = largest.emplace_back();
        for (std::size_t site = 0; site < models::kCodeSites; ++site) {
          of_layer[site] = layer[site].largest;
        }
      }
      made.channels = quant::SmoothScales(*decoder_, largest, smoothed, *options_.smooth);
      made.provenance = "SmoothQuant " + std::to_string(*options_.smooth);
    } else {
      made.channels = quant::EqualizedScales(*decoder_, kSites);
      made.provenance = "cross-layer equalisation";
    }
    scales_ = std::move(made);
    return {};
  }

  Result<models::Quantization> MakeQuantization(const formats::GgufFile& file, Scheme scheme) {
    models::Quantization quantization;
    quantization.scheme = options_.scheme;
    quantization.per_channel = !options_.per_tensor;
    const bool learned =
        options_.ranges == RangeChoice::kLearned && scales_ && !scales_->ranges.empty();
    std::optional<quant::Calibration> calibration;
    if (!learned || options_.statistics) {
      ONDINE_ASSIGN(calibration, CalibrateOnText(file));
    }
    const std::vector<quant::LayerRanges> ranges =
        learned ? scales_->ranges
                : quant::RangesOf(calibration->layers, [&](const quant::Histogram& values) {
                    return rule_.RangeOf(values, scheme.activation_bits);
                  });
    quantization.layers = CodesOf(ranges, scheme.activation_bits,
                                  learned ? scales_->keeps_outliers : rule_.KeepsOutliers());
    if (options_.statistics) ReportSites(*calibration, ranges, quantization);
    quantization.provenance = Provenance(learned);
    return quantization;
  }

  // Of activations as they are with the scales that there are so far.
  Result<quant::Calibration> CalibrateOnText(const formats::GgufFile& file) {
    if (options_.calibration_text.empty()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "a text is needed that tells the ranges of the activations");
    }
    ONDINE_ASSIGN(const text::Tokenizer tokenizer, text::Tokenizer::FromGguf(file));
    quant::CalibrationOptions settings;
    settings.sequences = options_.sequences;
    if (tokenizer.adds_bos()) settings.bos = tokenizer.bos();
    if (scales_) settings.scales = scales_->channels;
    settings.stop_token = options_.stop_token;
    settings.on_progress = [this](std::int64_t done, std::int64_t total) {
      Report("calibrating", done, total);
    };
    const base::Stopwatch watch(report_.seconds_calibration);
    ONDINE_ASSIGN(
        quant::Calibration calibration,
        quant::Calibrate(decoder_, pool_, tokenizer.Encode(options_.calibration_text), settings));
    report_.calibration_tokens = calibration.tokens;
    return calibration;
  }

  void ReportSites(const quant::Calibration& calibration,
                   const std::vector<quant::LayerRanges>& ranges,
                   const models::Quantization& quantization) {
    for (std::size_t layer = 0; layer < calibration.layers.size(); ++layer) {
      for (std::size_t i = 0; i < models::kCodeSites; ++i) {
        const auto site = static_cast<models::CodeSite>(i);
        const quant::SiteStatistics& seen = calibration.layers[layer][i];
        SiteStatistics& out = report_.sites.emplace_back();
        out.layer = static_cast<int>(layer);
        out.site = models::kCodeSiteNames[i];
        out.low = ranges[layer][i].low;
        out.high = ranges[layer][i].high;
        const compute::StaticCode& code = quantization.layers[layer].at(site);
        out.relative_error = seen.values.Error(code) / seen.values.MeanSquare();
        if (code.keeps_outliers) out.outliers = seen.values.ShareOutside(ranges[layer][i]);
        out.largest_scaled = out.largest = seen.largest;
        if (!scales_) continue;
        const std::vector<float> scales =
            models::InputScales(decoder_->spec(), scales_->channels[layer], site);
        for (std::size_t c = 0; c < scales.size(); ++c) out.largest[c] /= scales[c];
      }
    }
  }

  std::string Provenance(bool learned) const {
    std::string text = "of base " + models::BaseFingerprint(*decoder_);
    if (scales_) text += "; scales: " + scales_->provenance;
    if (learned) return text + "; ranges: learned";
    base::Checksum hash;
    hash.Update(std::as_bytes(std::span(options_.calibration_text)));
    return text + "; ranges: " + rule_.Name() + " of " +
           std::to_string(report_.calibration_tokens) + " tokens, text " + hash.Digits();
  }

  void Report(std::string_view phase, std::int64_t done, std::int64_t total) const {
    if (options_.on_progress) options_.on_progress({phase, done, total});
  }

  const std::string& model_;
  const QuantizationOptions& options_;
  RangeRule rule_;
  compute::ThreadPool pool_;
  std::shared_ptr<const models::Decoder> decoder_;
  std::optional<quant::Scales> scales_;
  QuantizationReport report_;
};

}  // namespace

Result<QuantizationReport> Quantize(const std::string& model, const std::string& out,
                                    const QuantizationOptions& options) {
  return base::Guarded([&] { return Job(model, options).Run(out); },
                       "there is not enough memory to quantise it", model);
}

}  // namespace ondine
