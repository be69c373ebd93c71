// Rotary position embedding (Su et al., 2021, arXiv 2104.09864).
#ifndef ONDINE_SRC_COMPUTE_ROPE_H_
#define ONDINE_SRC_COMPUTE_ROPE_H_

#include <cstdint>
#include <vector>

#include "compute/aligned_array.h"

namespace ondine::compute {

struct RopeSettings {
  int dims = 0;               // rotated dimensions of a head, even; the rest pass through
  double base = 10000.0;      // frequency base
  double position_scale = 1;  // positions are multiplied by it (linear scaling: 1 / factor)
  // Divides each frequency [dims / 2] (Llama 3's rope factors); empty means all 1.
  std::vector<float> factors;
  // Which elements form a pair: (i, i + dims/2) as in GPT-NeoX, or neighbours (2i, 2i + 1) as in
  // GGUF files of the llama family.
  bool neighbours = false;
};

// cos and sin for positions 0, 1, 2, ... A position is 16 * tile + lane, and a rotation by it is
// one by the tile's position followed by one by the lane, so that the tables stay small at any
// length.
class Rope {
 public:
  static constexpr std::int64_t kLanes = 16;

  explicit Rope(RopeSettings settings);
  const RopeSettings& settings() const { return settings_; }

  // Rotates one head's vector in place to `position`, any position >= 0; computed in double, exact
  // to float rounding at any distance.
  void Rotate(float* head, std::int64_t position) const;

  // cos and sin [dims] of one position for RotateHeads; within 2e-7 of exact where the position is
  // below reserved(), the same numbers that stored keys are rotated by.
  void Angles(std::int64_t position, float* cosines, float* sines) const;
  // Rotates `heads` vectors, `stride` floats apart, by these angles: some 50 times faster than
  // Rotate, and one position's angles serve all heads of all layers.
  void RotateHeads(float* first, int heads, std::int64_t stride, const float* cosines,
                   const float* sines) const;

  // Prepares the tables below for positions < count. Not thread-safe; call it between passes.
  void Reserve(std::int64_t count);
  std::int64_t reserved() const { return reserved_; }

  // Tables by element, so that rotated[e] = x[e] * cos[e] + x[partner of e] * sin[e]: the sine is
  // negative for the first element of a pair. Of the positions 0 .. 15: [lane][dims]; of the
  // positions 0, 16, 32, ...: [tile][dims].
  const float* LaneCos() const { return lane_cos_.data(); }
  const float* LaneSin() const { return lane_sin_.data(); }
  const float* TileCos() const { return tile_cos_.data(); }
  const float* TileSin() const { return tile_sin_.data(); }

 private:
  void FillTables(std::int64_t position, float* cosines, float* sines) const;

  RopeSettings settings_;
  std::vector<double> frequencies_;  // [dims / 2], radians a position
  std::int64_t reserved_ = 0;
  AlignedArray<float> lane_cos_, lane_sin_;  // vector loads all over them, in every decoded token
  std::vector<float> tile_cos_, tile_sin_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ROPE_H_
