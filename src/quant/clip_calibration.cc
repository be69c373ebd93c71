#include "quant/clip_calibration.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "base/try.h"
#include "models/clip_pass.h"

namespace ondine::quant {
namespace {

constexpr std::size_t kTogether = 8;  // samples in one pass

}  // namespace

Result<std::vector<LayerStatistics>> CalibrateClip(std::shared_ptr<const models::Clip> clip,
                                                   compute::ThreadPool& pool,
                                                   const ClipSamples& samples,
                                                   const ClipCalibrationOptions& options) {
  if (clip->quantization()) {
    return MakeError(ErrorCode::kInvalidArgument, "the model is quantised to 8 bits already");
  }
  if (samples.texts.empty() || samples.pictures.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "at least one text and one picture are needed");
  }
  const models::ClipSpec spec = clip->spec();
  models::ClipPass pass(std::move(clip), pool);
  std::vector<float> vectors(kTogether * static_cast<std::size_t>(spec.projection));
  std::size_t done = 0;
  // Passes `count` samples on in groups: encode(first, how many).
  const auto run = [&](std::size_t count, const InputCollector& collector,
                       auto&& encode) -> Status {
    for (std::size_t first = 0; first < count; first += kTogether) {
      if (options.stop_token.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      const std::size_t together = std::min(kTogether, count - first);
      encode(first, together);
      if (!collector.finite()) {
        return MakeError(ErrorCode::kCorrupt, "an activation of the model is not finite");
      }
      done += together;
      if (options.on_progress) {
        options.on_progress(
            static_cast<std::int64_t>(done),
            static_cast<std::int64_t>(samples.texts.size() + samples.pictures.size()));
      }
    }
    return {};
  };

  InputCollector of_texts(spec.text.layers, {}, pool.threads());
  ONDINE_TRY(run(samples.texts.size(), of_texts, [&](std::size_t first, std::size_t together) {
    std::vector<models::ClipText> texts;
    for (const auto& tokens : samples.texts.subspan(first, together)) texts.push_back({tokens});
    pass.EncodeTexts(texts, {}, vectors.data(), nullptr, &of_texts);
  }));
  InputCollector of_pictures(spec.image.layers, {}, pool.threads());
  ONDINE_TRY(
      run(samples.pictures.size(), of_pictures, [&](std::size_t first, std::size_t together) {
        pass.EncodePictures(samples.pictures.subspan(first, together), vectors.data(),
                            &of_pictures);
      }));
  std::vector<LayerStatistics> layers = of_texts.Sum();
  std::ranges::move(of_pictures.Sum(), std::back_inserter(layers));
  return layers;
}

}  // namespace ondine::quant
