// Writes a model file anew: with channel scales folded in, and with 8-bit matrices.
#ifndef ONDINE_SRC_QUANT_CONVERT_H_
#define ONDINE_SRC_QUANT_CONVERT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "models/channel_scales.h"
#include "models/decoder_spec.h"
#include "models/quantization.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::quant {

struct ConversionOptions {
  std::optional<models::Fold> fold = {};  // of scales; none: weights keep their values
  // The codes of all inputs and the scheme's name; none: matrices stay floats. Those that a fold
  // changes become F32, as no other type can hold them.
  std::optional<models::Quantization> quantization = {};
  int weight_bits = 8;
  std::function<void(std::int64_t done, std::int64_t total)> on_progress = {};  // tensors
  StopToken stop_token = {};
};

// `spec` is of the same file. Tensors are converted one at a time, so that no more than one is
// in memory beside the mapped file. Errors: those of GgufWriter::Write, kCorrupt (a weight that is
// not finite), kCancelled.
Status Convert(const formats::GgufFile& file, const models::DecoderSpec& spec,
               compute::ThreadPool& pool, const ConversionOptions& options,
               const std::string& path);
// The same for a CLIP: the matrices in the blocks of both towers. Scales are not folded into it.
Status ConvertClip(const formats::GgufFile& file, compute::ThreadPool& pool,
                   const ConversionOptions& options, const std::string& path);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_CONVERT_H_
