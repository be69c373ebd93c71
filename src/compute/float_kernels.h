// Products of float matrices (float_weights.h) with activations: one fused multiply-add after the
// other in the order of the columns, so a row's result depends on nothing but itself.
#ifndef ONDINE_SRC_COMPUTE_FLOAT_KERNELS_H_
#define ONDINE_SRC_COMPUTE_FLOAT_KERNELS_H_

#include <cstdint>

#include "compute/activations.h"
#include "compute/float_weights.h"

namespace ondine::compute {

// Outputs of the panels in `panels`, for rows `rows` of x, the first of them y[0]; adds to y if
// `add`.
using FloatKernel = void (*)(const FloatWeights& weights, Worker::Range panels,
                             const Activations& x, Worker::Range rows, bool add, float* y,
                             std::int64_t stride);

void MultiplyFloatScalar(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride);

// The same numbers, where HasAvx2(), HasAvx512() or HasNeon().
void MultiplyFloatAvx2(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                       Worker::Range rows, bool add, float* y, std::int64_t stride);
void MultiplyFloatAvx512(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride);
void MultiplyFloatNeon(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                       Worker::Range rows, bool add, float* y, std::int64_t stride);

// BF16 weights only: rounds x to BF16, as ggml does, and multiplies pairs. Needs AVX-512 BF16 too.
void MultiplyBFloat16Avx512(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                            Worker::Range rows, bool add, float* y, std::int64_t stride);

// The same but for the order of the sums, with whatever number of rows. Needs what
// HasAmxBFloat16() asks for.
void MultiplyBFloat16Amx(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_FLOAT_KERNELS_H_
