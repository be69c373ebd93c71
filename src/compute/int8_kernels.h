// Products of 8-bit weights with statically coded inputs:
//
//   y = fma(float(sum_i q_i w_ij - zero * sum_i w_ij), scale_j, y or 0)
//
// with exact 32-bit integers, so that all kernels give the same bits and a row's result depends
// neither on its neighbours nor on the threads.
#ifndef ONDINE_SRC_COMPUTE_INT8_KERNELS_H_
#define ONDINE_SRC_COMPUTE_INT8_KERNELS_H_

#include <cstdint>
#include <span>

#include "compute/int8_weights.h"
#include "compute/thread_pool.h"

namespace ondine::compute {

struct Int8Input {
  std::int64_t rows = 0;
  const std::uint8_t* codes = nullptr;  // [rows][stride], zeros behind the last column
  std::int64_t stride = 0;              // at least groups * 4
};

// What the input's code and the weights make of a sum; [outputs, padded to panels].
struct Int8Outputs {
  // -(zero - the kernel's code_offset) * sum of the row's integers
  const std::int32_t* starts = nullptr;
  const float* scales = nullptr;  // of the input times of the weights
};

// Outputs of the panels in `panels`, the first of them y[0]; adds to y if `add`.
using Int8Kernel = void (*)(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                            const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);

void MultiplyInt8Scalar(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                        const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);

// Each needs what the function of cpu_features.h says that is named like it.
void MultiplyInt8Avx2(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                      const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);

void MultiplyInt8AvxVnni(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                         const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);
void MultiplyInt8Avx512(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                        const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);

// Needs what HasAmxInt8() asks for. As Avx512 where there are few rows, or columns that are no
// multiple of 64.
void MultiplyInt8Amx(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                     const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);

// Takes kNeonCodeOffset off each code.
inline constexpr std::int32_t kNeonCodeOffset = 128;
void MultiplyInt8Neon(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                      const Int8Outputs& outputs, bool add, float* y, std::int64_t stride);

// What an input's outliers exceed their codes by, in units of its scale.
struct Int8Outlier {
  std::int32_t column = 0;
  float excess = 0;
};

// Adds to y, one row of the panels' outputs, what a row's outliers are short of in their codes:
//
//   y = fma(sum_o excess_o w_oj, scale_j, y), the sum one fma after the other
using Int8OutlierKernel = void (*)(const Int8Weights& weights, Worker::Range panels,
                                   std::span<const Int8Outlier> outliers, const float* scales,
                                   float* y);
void AddInt8OutliersScalar(const Int8Weights& weights, Worker::Range panels,
                           std::span<const Int8Outlier> outliers, const float* scales, float* y);
// The same bits, where HasAvx2(), HasAvx512Vnni() or HasNeonDot().
void AddInt8OutliersAvx2(const Int8Weights& weights, Worker::Range panels,
                         std::span<const Int8Outlier> outliers, const float* scales, float* y);
void AddInt8OutliersAvx512(const Int8Weights& weights, Worker::Range panels,
                           std::span<const Int8Outlier> outliers, const float* scales, float* y);

void AddInt8OutliersNeon(const Int8Weights& weights, Worker::Range panels,
                         std::span<const Int8Outlier> outliers, const float* scales, float* y);

struct Int8Kernels {
  Int8Kernel multiply;
  Int8OutlierKernel add_outliers;
  std::int32_t code_offset = 0;  // that `multiply` takes off each code
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_INT8_KERNELS_H_
