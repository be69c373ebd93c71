// What the activations of a CLIP's towers look like on texts and pictures.
#ifndef ONDINE_SRC_QUANT_CLIP_CALIBRATION_H_
#define ONDINE_SRC_QUANT_CLIP_CALIBRATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "compute/thread_pool.h"
#include "models/clip.h"
#include "ondine/progress.h"
#include "ondine/result.h"
#include "quant/input_statistics.h"

namespace ondine::quant {

struct ClipSamples {
  std::span<const std::vector<std::int32_t>> texts;  // tokens, start and end included
  std::span<const std::uint8_t* const> pictures;     // as ClipPass::EncodePictures() takes them
};

struct ClipCalibrationOptions {
  std::function<void(std::int64_t done, std::int64_t total)> on_progress = {};  // samples
  StopToken stop_token = {};
};

// The text tower's blocks, then the image tower's. Errors: kInvalidArgument (no text or no picture,
// or a CLIP that is quantised already), kCorrupt (an activation that is not finite), kCancelled.
Result<std::vector<LayerStatistics>> CalibrateClip(std::shared_ptr<const models::Clip> clip,
                                                   compute::ThreadPool& pool,
                                                   const ClipSamples& samples,
                                                   const ClipCalibrationOptions& options);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_CLIP_CALIBRATION_H_
