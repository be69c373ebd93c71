// How stored keys become rotated ones. Each file that includes this compiles it for its own
// instruction set.
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_ROTATION_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_ROTATION_H_

#include "compute/attention_kernels.h"

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

// Rotates the key [head_dim] of a slot to the slot's position, if keys are stored without.
inline void RotateKey(const StoredHead& head, std::int64_t slot, float* x) {
  const int dims = head.rope_dims;
  if (dims == 0) return;
  const float* tile_cos = head.tile_cos + slot / kSlotTile * dims;
  const float* tile_sin = head.tile_sin + slot / kSlotTile * dims;
  const float* lane_cos = head.lane_cos + slot % kSlotTile * dims;
  const float* lane_sin = head.lane_sin + slot % kSlotTile * dims;
  alignas(64) float c[kMaxHeadDim], s[kMaxHeadDim];
  for (int e = 0; e < dims; ++e) {
    c[e] = tile_cos[e] * lane_cos[e] - tile_sin[e] * lane_sin[e];
    s[e] = tile_sin[e] * lane_cos[e] + tile_cos[e] * lane_sin[e];
  }
  if (head.neighbours) {
    for (int e = 0; e < dims; e += 2) {
      const float a = x[e], b = x[e + 1];
      x[e] = a * c[e] + b * s[e];
      x[e + 1] = b * c[e + 1] + a * s[e + 1];
    }
  } else {
    const int half = dims / 2;
    for (int e = 0; e < half; ++e) {
      const float a = x[e], b = x[e + half];
      x[e] = a * c[e] + b * s[e];
      x[e + half] = b * c[e + half] + a * s[e + half];
    }
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_ROTATION_H_
