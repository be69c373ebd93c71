// Llama and its relatives that share the file format: SmolLM2, Llama 2 and 3, Mistral.
#include "base/try.h"
#include "models/architectures.h"
#include "models/hyperparameters.h"

namespace ondine::models {

Result<DecoderSpec> ReadLlama(const formats::GgufFile& file) {
  ONDINE_ASSIGN(DecoderSpec spec, Hyperparameters(file, "llama").Common());
  // The converter to GGUF reorders rows of W_q and W_k so that a pair's elements are neighbours.
  spec.rope.neighbours = true;
  return spec;
}

}  // namespace ondine::models
