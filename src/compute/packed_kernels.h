// Products of packed weights with activations. All kernels compute the same: for each block of 32
// (or 16) columns an exact integer dot product, times the weights' scale, times the activations',
// summed in floats in the order of the blocks with one rounding a step. So their results are equal
// bit for bit, and a row's result depends neither on its neighbours nor on the threads.
//
//   sum = fma(float(dot) * scale_w, scale_x, sum), then, with minimums,
//   sum = fma(min_w, scale_x * sum_of_quants_x, sum)
#ifndef ONDINE_SRC_COMPUTE_PACKED_KERNELS_H_
#define ONDINE_SRC_COMPUTE_PACKED_KERNELS_H_

#include <cstdint>

#include "compute/packed_weights.h"
#include "compute/thread_pool.h"

namespace ondine::compute {

// Dot products are summed up from this number, the bits of 1.5 * 2^23: as |dot| < 2^22, the bits of
// the total are those of the float 1.5 * 2^23 + dot, and one fma both converts and scales it.
constexpr std::int32_t kDotBias = 0x4b400000;
constexpr float kDotBiasValue = 12582912.0f;

// Rows of activations, and what follows from them and the weights' format.
struct PackedInput {
  std::int64_t rows = 0;
  std::int64_t blocks = 0;              // of a row
  const std::int8_t* quants = nullptr;  // [rows][blocks][32]
  const float* scales = nullptr;        // [rows][blocks]
  // For each scale of the weights (1 or 2 a block), one of these:
  const std::int32_t* starts =
      nullptr;                         // [rows][blocks * 1 or 2]: kDotBias - offset * sum of quants
  const float* scaled_sums = nullptr;  // [rows][blocks * 1 or 2]: scale * sum of quants
};

// Outputs of the panels in `panels`, the first of them y[0]; adds to y if `add`.
using PackedKernel = void (*)(const PackedWeights& weights, Worker::Range panels,
                              const PackedInput& x, bool add, float* y, std::int64_t stride);

void MultiplyPackedScalar(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                          bool add, float* y, std::int64_t stride);

// Each needs what the function of cpu_features.h says that is named like it: HasAvx2(),
// HasAvxVnni(), HasAvx512Vnni(), HasNeonDot().
void MultiplyPackedAvx2(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                        bool add, float* y, std::int64_t stride);
void MultiplyPackedAvxVnni(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                           bool add, float* y, std::int64_t stride);
void MultiplyPackedAvx512(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                          bool add, float* y, std::int64_t stride);
void MultiplyPackedNeon(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                        bool add, float* y, std::int64_t stride);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_PACKED_KERNELS_H_
