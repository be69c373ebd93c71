// What stands behind a Linear: one class for each way of keeping a weight matrix.
#ifndef ONDINE_SRC_COMPUTE_LINEAR_IMPL_H_
#define ONDINE_SRC_COMPUTE_LINEAR_IMPL_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "compute/float_kernels.h"
#include "compute/int8_kernels.h"
#include "compute/linear.h"
#include "compute/packed_kernels.h"

namespace ondine::compute {

struct LinearShape {
  formats::TensorType type = formats::TensorType::kF32;
  std::int64_t in = 0, out = 0;
  std::int64_t row_bytes = 0;  // as stored in the file
};

class Linear::Impl {
 public:
  explicit Impl(const LinearShape& shape) : shape_(shape) {}
  virtual ~Impl() = default;

  const LinearShape& shape() const { return shape_; }
  virtual std::size_t bytes() const = 0;
  // Outputs `outputs` (from a multiple of kOutputGrain on) of rows `rows` of x; the first of them
  // is y[0], rows of y are `stride` apart.
  virtual void Multiply(Worker::Range outputs, const Activations& x, Worker::Range rows,
                        Store store, float* y, std::int64_t stride) const = 0;
  virtual void GetRow(std::int64_t row, float* out) const = 0;
  virtual const StaticCode* input_code() const { return nullptr; }

 private:
  LinearShape shape_;
};

using LinearImpl = std::unique_ptr<Linear::Impl>;

// Rows of x in one call of a kernel of 8-bit products: they stay in the second-level cache while
// all panels pass by, and are still enough to make reading the weights cheap. Whole pairs of tiles
// of AMX.
inline std::int64_t RowsAtOnce(std::int64_t in) {
  constexpr std::int64_t kInputBytes = 256 * 1024, kLeastRows = 96, kPair = 32;
  return std::max(kLeastRows, kInputBytes / in / kPair * kPair);
}

// `data` has exactly shape.out * shape.row_bytes bytes.

// Rows as they are in the file, multiplied by ggml's own dot product of the type.
Result<LinearImpl> CreateGgmlLinear(const LinearShape& shape, std::span<const std::byte> data,
                                    ThreadPool& pool);

// Block-quantised rows, packed for `kernel`.
Result<LinearImpl> CreatePackedLinear(const LinearShape& shape, const PackedFormat& format,
                                      std::span<const std::byte> data, ThreadPool& pool,
                                      PackedKernel kernel);

// Rows of 16- or 32-bit floats, laid out for `kernel`.
Result<LinearImpl> CreateFloatLinear(const LinearShape& shape, std::span<const std::byte> data,
                                     ThreadPool& pool, FloatKernel kernel);

// 8-bit rows with a scale each, laid out for `kernel`; inputs come in a static code.
Result<LinearImpl> CreateInt8Linear(const LinearShape& shape, std::span<const std::byte> data,
                                    std::span<const float> scales, const StaticCode& input,
                                    ThreadPool& pool, Int8Kernels kernels);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LINEAR_IMPL_H_
