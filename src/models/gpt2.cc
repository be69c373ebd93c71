// GPT-2: LayerNorm, learned positions, one matrix for queries, keys and values, an MLP without a
// gate, biases everywhere.
#include "base/try.h"
#include "models/architectures.h"
#include "models/hyperparameters.h"

namespace ondine::models {

Result<DecoderSpec> ReadGpt2(const formats::GgufFile& file) {
  const Hyperparameters parameters(file, "gpt2");
  ONDINE_ASSIGN(DecoderSpec spec, parameters.Sizes());
  ONDINE_ASSIGN(const double epsilon, parameters.Positive("attention.layer_norm_epsilon"));
  spec.norm_epsilon = static_cast<float>(epsilon);
  spec.activation = compute::GateActivation::kGelu;
  spec.layer_norm = true;
  spec.learned_positions = true;
  spec.fused_qkv = true;
  spec.gated = false;
  spec.qkv_bias = true;
  spec.linear_bias = true;
  return spec;
}

}  // namespace ondine::models
