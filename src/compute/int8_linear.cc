// Linear layers of 8-bit weights with statically coded inputs.
#include <algorithm>
#include <vector>

#include "compute/aligned_array.h"
#include "compute/int8_kernels.h"
#include "compute/linear_impl.h"

namespace ondine::compute {
namespace {

class Int8Linear final : public Linear::Impl {
 public:
  Int8Linear(const LinearShape& shape, std::span<const std::byte> data,
             std::span<const float> scales, const StaticCode& input, ThreadPool& pool,
             Int8Kernels kernels)
      : Impl(shape),
        weights_(shape.in, shape.out, data, scales, pool),
        input_(input),
        kernels_(kernels) {
    const std::int64_t outputs = weights_.panels() * Int8Weights::kPanelRows;
    starts_.Reserve(static_cast<std::size_t>(outputs));
    scales_.Reserve(static_cast<std::size_t>(outputs));
    for (std::int64_t j = 0; j < outputs; ++j) {
      starts_.data()[j] = -input.zero * weights_.sums()[j];
      scales_.data()[j] = input.scale * weights_.scales()[j];
    }
  }

  std::size_t bytes() const override { return weights_.bytes(); }
  const StaticCode* input_code() const override { return &input_; }

  void Multiply(Worker::Range outputs, const Activations& x, Worker::Range rows, Store store,
                float* y, std::int64_t stride) const override {
    const Worker::Range panels = {
        outputs.begin / Int8Weights::kPanelRows,
        (outputs.end + Int8Weights::kPanelRows - 1) / Int8Weights::kPanelRows};
    const std::int64_t step = RowsAtOnce(shape().in);
    for (std::int64_t row = rows.begin; row < rows.end; row += step) {
      const Int8Input input = {std::min(step, rows.end - row), x.Codes(row), x.code_stride()};
      kernels_.multiply(weights_, panels, input, {starts_.data(), scales_.data()},
                        store == Store::kAdd, y + (row - rows.begin) * stride, stride);
    }
    if (!input_.keeps_outliers) return;
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const std::span<const Int8Outlier> outliers = OutliersOf(x, row);
      if (outliers.empty()) continue;
      kernels_.add_outliers(weights_, panels, outliers, scales_.data(),
                            y + (row - rows.begin) * stride);
    }
  }

  void GetRow(std::int64_t row, float* out) const override {
    for (std::int64_t i = 0; i < shape().in; ++i) {
      out[i] = weights_.scales()[row] * static_cast<float>(weights_.At(row, i));
    }
  }

 private:
  // Until the calling thread's next call.
  std::span<const Int8Outlier> OutliersOf(const Activations& x, std::int64_t row) const {
    thread_local std::vector<Int8Outlier> outliers;
    outliers.clear();
    x.ForOutliers(row, [&](std::int64_t column, float value) {
      outliers.push_back({static_cast<std::int32_t>(column), Excess(input_, value)});
    });
    return outliers;
  }

  Int8Weights weights_;
  StaticCode input_;
  Int8Kernels kernels_;
  AlignedArray<std::int32_t> starts_;  // see Int8Outputs
  AlignedArray<float> scales_;
};

}  // namespace

Result<LinearImpl> CreateInt8Linear(const LinearShape& shape, std::span<const std::byte> data,
                                    std::span<const float> scales, const StaticCode& input,
                                    ThreadPool& pool, Int8Kernels kernels) {
  return std::make_unique<Int8Linear>(shape, data, scales, input, pool, kernels);
}

}  // namespace ondine::compute
