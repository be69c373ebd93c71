// Attention inside short sequences, each for itself: texts and pictures in an encoder.
#ifndef ONDINE_SRC_COMPUTE_SHORT_ATTENTION_H_
#define ONDINE_SRC_COMPUTE_SHORT_ATTENTION_H_

#include <cstdint>
#include <span>

#include "compute/thread_pool.h"

namespace ondine::compute {

struct ShortAttentionInput {
  // [rows][heads][head_dim], rows `stride` floats apart; head h of a row begins at h * head_dim.
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  std::int64_t stride = 0;
  // Sequence s has the rows from begins[s] to begins[s + 1], of which there is at least one.
  std::span<const std::int64_t> begins;
  int heads = 0;
  int head_dim = 0;
  float scale = 1.0f;   // of q.k
  bool causal = false;  // a row sees itself and the rows of its sequence before it
  // Added to the scaled products with each row's key, [rows]; null: nothing. -infinity hides it; a
  // row that sees nothing gives zeros.
  const float* bias = nullptr;
  bool bias_for_last_row_only = false;  // of each sequence
};

enum class ShortAttentionKernel { kAuto, kScalar };

// out[i][h][:] = softmax(scale * q.k + bias) v; rows `out_stride` floats apart. `last_weights`,
// where not null, gets the softmax of each sequence's last row: [heads][rows]. All workers call it
// together; nobody waits inside. A sequence's result depends on nothing but the sequence.
void AttendShort(const Worker& worker, const ShortAttentionInput& input, float* out,
                 std::int64_t out_stride, float* last_weights = nullptr,
                 ShortAttentionKernel kernel = ShortAttentionKernel::kAuto);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_SHORT_ATTENTION_H_
