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
  ONDINE_ASSIGN(spec.global_every, parameters.Int("attention.sliding_window_pattern", 1, 4096, 6));
  // No Gemma has the base that others have where nothing is said. Some files have names of their
  // own for both.
  if (!parameters.Has("rope.freq_base")) {
    ONDINE_ASSIGN(spec.rope.base, parameters.Positive("rope.global.freq_base"));
  }
  spec.local_rope = spec.rope;
  spec.local_rope.position_scale = 1;  // the long-context scaling concerns global layers only
  ONDINE_ASSIGN(const double local_base, parameters.Positive("rope.local.freq_base", 10000.0));
  ONDINE_ASSIGN(spec.local_rope.base, parameters.Positive("rope.freq_base_swa", local_base));
  if (parameters.Has("final_logit_softcapping")) {
    return parameters.Unsupported("final_logit_softcapping");
  }
  // The 27B model alone scales by the width a head would have without its own head_dim.
  if (spec.layers == 62) {
    spec.attention_scale =
        1.0f / std::sqrt(static_cast<float>(spec.width) / static_cast<float>(spec.heads));
  }
  return spec;
}

}  // namespace ondine::models
