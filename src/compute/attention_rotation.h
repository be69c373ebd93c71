// How stored keys become rotated ones. Each file that includes this compiles it for its own
// instruction set.
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_ROTATION_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_ROTATION_H_

#include "compute/attention_kernels.h"

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

// Rotates the first dims of x by angles whose cosines and sines [dims] are given as Rope's tables
// have them.
inline void Turn(const StoredHead& head, const float* cosines, const float* sines, float* x) {
  const int dims = head.rope_dims;
  if (head.neighbours) {
    for (int e = 0; e < dims; e += 2) {
      const float a = x[e], b = x[e + 1];
      x[e] = a * cosines[e] + b * sines[e];
      x[e + 1] = b * cosines[e + 1] + a * sines[e + 1];
    }
  } else {
    const int half = dims / 2;
    for (int e = 0; e < half; ++e) {
      const float a = x[e], b = x[e + half];
      x[e] = a * cosines[e] + b * sines[e];
      x[e + half] = b * cosines[e + half] + a * sines[e + half];
    }
  }
}

// Rotates the key [head_dim] of a slot to the slot's position, if keys are stored without.
inline void RotateKey(const StoredHead& head, std::int64_t slot, float* x) {
  const int dims = head.rope_dims;
  const float* tile_cos = head.tile_cos + slot / kSlotTile * dims;
  const float* tile_sin = head.tile_sin + slot / kSlotTile * dims;
  const float* lane_cos = head.lane_cos + slot % kSlotTile * dims;
  const float* lane_sin = head.lane_sin + slot % kSlotTile * dims;
  alignas(64) float c[kMaxHeadDim], s[kMaxHeadDim];
  for (int e = 0; e < dims; ++e) {
    c[e] = tile_cos[e] * lane_cos[e] - tile_sin[e] * lane_sin[e];
    s[e] = tile_sin[e] * lane_cos[e] + tile_cos[e] * lane_sin[e];
  }
  Turn(head, c, s, x);
}

// The same in two parts, where the many keys of a tile meet few queries: the key by its lane alone,
// from tables that stay in the first cache, and the query back by the position of the tile.
inline void RotateKeyByLane(const StoredHead& head, std::int64_t slot, float* x) {
  const std::int64_t at = slot % kSlotTile * head.rope_dims;
  Turn(head, head.lane_cos + at, head.lane_sin + at, x);
}
inline void RotateQueryBack(const StoredHead& head, std::int64_t slot_tile, float* x) {
  const int dims = head.rope_dims;
  const float* sines = head.tile_sin + slot_tile * dims;
  alignas(64) float back[kMaxHeadDim];
  for (int e = 0; e < dims; ++e) back[e] = -sines[e];
  Turn(head, head.tile_cos + slot_tile * dims, back, x);
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_ROTATION_H_
