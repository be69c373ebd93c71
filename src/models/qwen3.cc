// Qwen 3: no biases, but each head's query and key is normalised before its rotation.
#include "base/try.h"
#include "models/architectures.h"
#include "models/hyperparameters.h"

namespace ondine::models {

Result<DecoderSpec> ReadQwen3(const formats::GgufFile& file) {
  ONDINE_ASSIGN(DecoderSpec spec, Hyperparameters(file, "qwen3").Common());
  spec.qk_norm = true;
  return spec;
}

}  // namespace ondine::models
