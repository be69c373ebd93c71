// What a language model's activations look like on a text.
#ifndef ONDINE_SRC_QUANT_CALIBRATION_H_
#define ONDINE_SRC_QUANT_CALIBRATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compute/thread_pool.h"
#include "models/decoder.h"
#include "ondine/progress.h"
#include "ondine/result.h"
#include "quant/input_statistics.h"

namespace ondine::quant {

struct Calibration {
  std::vector<LayerStatistics> layers;
  std::int64_t tokens = 0;
};

struct CalibrationOptions {
  std::int64_t context = 512;            // tokens of a sequence
  std::int64_t sequences = 64;           // at most
  std::optional<std::int32_t> bos = {};  // begins each sequence
  models::ChannelScales scales = {};     // that activations are multiplied by; empty: none
  std::function<void(std::int64_t done, std::int64_t total)> on_progress = {};  // sequences
  StopToken stop_token = {};
};

// Runs the text in sequences, of which each starts anew; scales change what is recorded, not the
// run. Errors: kInvalidArgument (less text than
// one sequence, or a model that is quantised already), kCorrupt (an activation that is not finite),
// kCancelled.
Result<Calibration> Calibrate(std::shared_ptr<const models::Decoder> decoder,
                              compute::ThreadPool& pool, std::span<const std::int32_t> tokens,
                              const CalibrationOptions& options);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_CALIBRATION_H_
