// What distinguishes one decoder architecture from another: everything the forward pass needs to
// know besides the weights.
#ifndef ONDINE_SRC_MODELS_DECODER_SPEC_H_
#define ONDINE_SRC_MODELS_DECODER_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "compute/elementwise.h"
#include "compute/kv_rows.h"
#include "compute/rope.h"

namespace ondine::models {

struct DecoderSpec {
  std::string architecture;  // general.architecture
  int layers = 0;
  int width = 0;  // of the residual stream
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int hidden = 0;                    // of the MLP
  std::int64_t trained_context = 0;  // positions seen in training
  float norm_epsilon = 1e-5f;
  float attention_scale = 0;
  float embedding_scale = 1;
  compute::GateActivation activation = compute::GateActivation::kSilu;
  bool gated = true;       // the MLP: down(activation(gate x) * up x), else down(activation(up x))
  bool fused_qkv = false;  // queries, keys and values are one matrix in the file, and one bias
  bool qkv_bias = false;
  bool linear_bias = false;  // of output, up and down
  bool layer_norm = false;   // with biases, instead of RMS norm
  // A vector for each of trained_context positions is added to the embedding; nothing is rotated.
  bool learned_positions = false;
  bool qk_norm = false;     // RMS norm of each head's query and key, before the rotation
  bool post_norms = false;  // RMS norm after attention and after the MLP, before the residual add

  // Sliding-window layers keep the last `window` tokens and rotate with `local_rope`; a layer is
  // one of them unless (index + 1) % global_every == 0. window = 0: all layers are global.
  int window = 0;
  int global_every = 1;
  compute::RopeSettings rope;
  compute::RopeSettings local_rope;

  bool IsLocal(int layer) const { return window > 0 && (layer + 1) % global_every != 0; }
  int query_width() const { return heads * head_dim; }
  int kv_width() const { return kv_heads * head_dim; }
  // A head as attention and the cache have it: with zeros behind it up to a whole block.
  int padded_head_dim() const {
    return (head_dim + compute::kKvBlock - 1) / compute::kKvBlock * compute::kKvBlock;
  }
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_DECODER_SPEC_H_
