// Linear layers whose weights are floats of 16 or 32 bits.
#include <string>

#include "compute/float_kernels.h"
#include "compute/linear_impl.h"

namespace ondine::compute {
namespace {

class FloatLinear final : public Linear::Impl {
 public:
  FloatLinear(const LinearShape& shape, FloatKernel kernel)
      : Impl(shape), weights_(shape.type, shape.in, shape.out), kernel_(kernel) {}

  FloatWeights& weights() { return weights_; }
  std::size_t bytes() const override { return weights_.bytes(); }

  void Multiply(Worker::Range outputs, const Activations& x, Worker::Range rows, Store store,
                float* y, std::int64_t stride) const override {
    constexpr std::int64_t kPanelRows = FloatWeights::kPanelRows;
    const Worker::Range panels = {outputs.begin / kPanelRows,
                                  (outputs.end + kPanelRows - 1) / kPanelRows};
    kernel_(weights_, panels, x, rows, store == Store::kAdd, y, stride);
  }

  void GetRow(std::int64_t row, float* out) const override {
    weights_.Read(row, 0, shape().in, out);
  }

 private:
  FloatWeights weights_;
  FloatKernel kernel_;
};

}  // namespace

Result<LinearImpl> CreateFloatLinear(const LinearShape& shape, std::span<const std::byte> data,
                                     ThreadPool& pool, FloatKernel kernel) {
  auto linear = std::make_unique<FloatLinear>(shape, kernel);
  const std::int64_t bad_row = linear->weights().Pack(data, pool);
  if (bad_row < shape.out) {
    return MakeError(ErrorCode::kCorrupt,
                     "row " + std::to_string(bad_row) + " holds a number that is not finite");
  }
  return linear;
}

}  // namespace ondine::compute
