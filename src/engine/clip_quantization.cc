// QuantizeClip(): a CLIP with 8-bit towers.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checksum.h"
#include "base/file.h"
#include "base/guarded.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "engine/range_choice.h"
#include "images/clip_parts.h"
#include "images/photo_scan.h"
#include "ondine/quantization.h"
#include "quant/clip_calibration.h"
#include "quant/convert.h"

namespace ondine {
namespace {

using engine::CodesOf;
using engine::ParseScheme;
using engine::RangeRule;
using engine::Scheme;

// Short and long ones, about many things. Ranges hardly depend on which they are.
constexpr std::string_view kTexts =
    "a photo\n"
    "a dog\n"
    "a photo of a cat\n"
    "a photo of the sea\n"
    "red shoes\n"
    "a white t-shirt for men\n"
    "a blue summer dress with flowers\n"
    "black leather handbag\n"
    "two children playing football in a park\n"
    "an old man with a beard sitting on a bench\n"
    "a plate of spaghetti with tomato sauce\n"
    "sunset over the mountains\n"
    "a city street at night in the rain, with neon lights\n"
    "my desk with a laptop and a cup of coffee\n"
    "a close-up of a bee on a yellow flower\n"
    "the Eiffel tower in winter\n"
    "a birthday cake with candles\n"
    "a drawing of a house\n"
    "screenshot of an invoice\n"
    "a handwritten letter from 1943\n"
    "a bicycle leaning against a brick wall\n"
    "a wooden table with four chairs in a bright kitchen\n"
    "a green car parked in front of a supermarket\n"
    "people dancing at a wedding\n"
    "an aerial view of a river that winds through a forest\n"
    "a black and white portrait of a woman with a hat\n"
    "snow\n"
    "a bird of prey in flight against a clear sky\n"
    "a blurry photo of a train\n"
    "grandmother and the twins at the beach, summer holidays\n"
    "a map of the world\n"
    "running shoes with white soles and orange laces, size 42\n";

class ClipJob {
 public:
  ClipJob(const std::string& model, const ClipQuantizationOptions& options)
      : model_(model), options_(options), rule_{options.ranges, options.outliers} {}

  Result<ClipQuantizationReport> Run(const std::string& out) {
    const base::Timer timer;
    ONDINE_TRY(rule_.Check());
    if (options_.most_pictures < 1) {
      return MakeError(ErrorCode::kInvalidArgument, "at least one picture is needed");
    }
    ONDINE_ASSIGN(const Scheme scheme, ParseScheme(options_.scheme));
    ONDINE_TRY(base::CheckWritable(out));  // before minutes of work
    ONDINE_ASSIGN(clip_, Clip::Load(model_, options_.threads));
    if (clip_->parts().weights->quantization()) {
      return MakeError(ErrorCode::kInvalidArgument, "the CLIP is quantised to 8 bits already",
                       model_);
    }
    quant::ConversionOptions conversion;
    ONDINE_ASSIGN(conversion.quantization, MakeQuantization(scheme));
    conversion.weight_bits = scheme.weight_bits;
    conversion.stop_token = options_.stop_token;
    conversion.on_progress = [this](std::int64_t done, std::int64_t total) {
      Report("writing", done, total);
    };
    clip_.reset();  // a whole model's weights
    ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(model_));
    compute::ThreadPool pool(compute::ThreadCount(options_.threads));
    ONDINE_TRY(quant::ConvertClip(file, pool, conversion, out));
    report_.bytes_before = static_cast<std::int64_t>(file.file_size());
    std::error_code error;
    report_.bytes_after = static_cast<std::int64_t>(std::filesystem::file_size(out, error));
    report_.seconds = timer.Elapsed();
    return std::move(report_);
  }

 private:
  Result<models::Quantization> MakeQuantization(Scheme scheme) {
    Clip::Parts& parts = clip_->parts();
    ONDINE_ASSIGN(const std::vector<images::Picture> pictures, ReadPictures());
    std::vector<const std::uint8_t*> pixels;
    pixels.reserve(pictures.size());
    for (const images::Picture& picture : pictures) pixels.push_back(picture.pixels.data());
    const std::vector<std::vector<text::TokenId>> texts = ReadTexts();
    if (texts.empty()) {
      return MakeError(ErrorCode::kInvalidArgument, "there is no text in the texts");
    }
    report_.pictures = static_cast<std::int64_t>(pictures.size());
    report_.texts = static_cast<std::int64_t>(texts.size());

    quant::ClipCalibrationOptions settings;
    settings.stop_token = options_.stop_token;
    settings.on_progress = [this](std::int64_t done, std::int64_t total) {
      Report("calibrating", done, total);
    };
    ONDINE_ASSIGN(const std::vector<quant::LayerStatistics> layers,
                  quant::CalibrateClip(parts.weights, parts.pool, {texts, pixels}, settings));
    models::Quantization quantization;
    quantization.scheme = options_.scheme;
    quantization.per_channel = !options_.per_tensor;
    const auto ranges = quant::RangesOf(layers, [&](const quant::Histogram& values) {
      return rule_.RangeOf(values, scheme.activation_bits);
    });
    quantization.layers = CodesOf(ranges, scheme.activation_bits, rule_.KeepsOutliers());
    base::Checksum hash;
    for (const images::Picture& picture : pictures) {
      hash.Update(std::as_bytes(std::span(picture.pixels)));
    }
    hash.Update(std::as_bytes(std::span(Texts())));
    quantization.provenance = "of base " + parts.fingerprint + "; ranges: " + rule_.Name() +
                              " of " + std::to_string(report_.pictures) + " pictures and " +
                              std::to_string(report_.texts) + " texts, hash " + hash.Digits();
    return quantization;
  }

  Result<std::vector<images::Picture>> ReadPictures() {
    ONDINE_ASSIGN(images::PhotoScan scan,
                  images::ScanPhotos(options_.pictures, options_.stop_token));
    report_.broken = std::move(scan.unreadable);
    const std::size_t most =
        std::min(scan.files.size(), static_cast<std::size_t>(options_.most_pictures));
    std::vector<images::Picture> pictures;
    for (std::size_t i = 0; i < most; ++i) {
      if (options_.stop_token.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      const std::string& path = scan.files[i * scan.files.size() / most].path;
      auto picture = images::LoadPicture(path, clip_->parts().form());
      if (picture) {
        pictures.push_back(std::move(*picture));
      } else {
        report_.broken.push_back(std::move(picture).error());
      }
      Report("reading", static_cast<std::int64_t>(i + 1), static_cast<std::int64_t>(most));
    }
    if (!pictures.empty()) return pictures;
    if (!report_.broken.empty()) return tl::make_unexpected(report_.broken.front());
    return MakeError(ErrorCode::kNotFound, "there is no photo in this folder", options_.pictures);
  }

  std::string_view Texts() const {
    if (options_.texts) return *options_.texts;
    return kTexts;
  }

  // Each line that is not empty, as the encoder reads it.
  std::vector<std::vector<text::TokenId>> ReadTexts() const {
    const Clip::Parts& parts = clip_->parts();
    const auto most = static_cast<std::size_t>(parts.info.longest_text);
    std::vector<std::vector<text::TokenId>> texts;
    for (std::string_view rest = Texts(); !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const auto tokens = parts.tokenizer.Encode(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (tokens.empty()) continue;
      auto& ids = texts.emplace_back();
      ids.push_back(parts.tokenizer.start());
      for (std::size_t i = 0; i < std::min(tokens.size(), most); ++i) ids.push_back(tokens[i].id);
      ids.push_back(parts.tokenizer.end());
    }
    return texts;
  }

  void Report(std::string_view phase, std::int64_t done, std::int64_t total) const {
    if (options_.on_progress) options_.on_progress({phase, done, total});
  }

  const std::string& model_;
  const ClipQuantizationOptions& options_;
  RangeRule rule_;
  std::unique_ptr<Clip> clip_;
  ClipQuantizationReport report_;
};

}  // namespace

Result<ClipQuantizationReport> QuantizeClip(const std::string& model, const std::string& out,
                                            const ClipQuantizationOptions& options) {
  return base::Guarded([&] { return ClipJob(model, options).Run(out); },
                       "there is not enough memory to quantise it", model);
}

}  // namespace ondine
