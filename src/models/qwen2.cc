// Qwen 2 and 2.5: Llama's layout with biases on q, k and v.
#include "base/try.h"
#include "models/architectures.h"
#include "models/hyperparameters.h"

namespace ondine::models {

Result<DecoderSpec> ReadQwen2(const formats::GgufFile& file) {
  ONDINE_ASSIGN(DecoderSpec spec, Hyperparameters(file, "qwen2").Common());
  spec.qkv_bias = true;
  return spec;
}

}  // namespace ondine::models
