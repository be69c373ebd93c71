// Gemma 3: five sliding-window layers to one global layer, each kind with a RoPE base of its own;
// norms around attention and MLP on both sides; scaled embeddings. (The file's norm weights already
// contain the "1 +" of Gemma's definition.)
#include <cmath>

#include "base/try.h"
#include "models/architectures.h"
#include "models/hyperparameters.h"

namespace ondine::models {

Result<DecoderSpec> ReadGemma3(const formats::GgufFile& file) {
  const Hyperparameters parameters(file, "gemma3");
  ONDINE_ASSIGN(DecoderSpec spec, parameters.Common());
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.width));
  spec.activation = compute::GateActivation::kGelu;
  spec.qk_norm = true;
  spec.post_norms = true;
  ONDINE_ASSIGN(spec.window, parameters.Int("attention.sliding_window", 0, 1 << 20, 0));
  spec.global_every = 6;
  spec.local_rope = spec.rope;
  spec.local_rope.position_scale = 1;  // the long-context scaling concerns global layers only
  ONDINE_ASSIGN(spec.local_rope.base, parameters.Positive("rope.freq_base_swa", 10000.0));
  // The 27B model alone scales by the width a head would have without its own head_dim.
  if (spec.layers == 62) {
    spec.attention_scale =
        1.0f / std::sqrt(static_cast<float>(spec.width) / static_cast<float>(spec.heads));
  }
  return spec;
}

}  // namespace ondine::models
