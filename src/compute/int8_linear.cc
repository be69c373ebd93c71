// Linear layers of 8-bit weights with statically coded inputs.
#include <algorithm>
#include <vector>

#include "compute/aligned_array.h"
#include "compute/int8_kernels.h"
#include "compute/linear_impl.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kOutlierPanels = 4;  // as many as the kernel takes side by side

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
      starts_.data()[j] = (kernels.code_offset - input.zero) * weights_.sums()[j];
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
      const Worker::Range part = {row, std::min(row + step, rows.end)};
      MultiplyRows(panels, x, part, store, y + (row - rows.begin) * stride, stride);
    }
  }

  void GetRow(std::int64_t row, float* out) const override {
    for (std::int64_t i = 0; i < shape().in; ++i) {
      out[i] = weights_.scales()[row] * static_cast<float>(weights_.At(row, i));
    }
  }

 private:
  void MultiplyRows(Worker::Range panels, const Activations& x, Worker::Range rows, Store store,
                    float* y, std::int64_t stride) const {
    const Int8Input input = {rows.end - rows.begin, x.Codes(rows.begin), x.code_stride()};
    const auto multiply = [&](Worker::Range some) {
      kernels_.multiply(weights_, some, input, {starts_.data(), scales_.data()},
                        store == Store::kAdd,
                        y + (some.begin - panels.begin) * Int8Weights::kPanelRows, stride);
    };
    const RowOutliers outliers = OutliersOf(x, rows);
    if (outliers.all.empty()) return multiply(panels);
    // Few panels at a time, so that their columns, which come in no order, are in a cache still.
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += kOutlierPanels) {
      const Worker::Range some = {panel, std::min(panel + kOutlierPanels, panels.end)};
      multiply(some);
      float* target = y + (panel - panels.begin) * Int8Weights::kPanelRows;
      std::size_t begin = 0;
      for (const std::size_t end : outliers.ends) {
        if (end > begin) {
          kernels_.add_outliers(weights_, some, outliers.all.subspan(begin, end - begin),
                                scales_.data(), target);
        }
        begin = end;
        target += stride;
      }
    }
  }

  struct RowOutliers {
    std::span<const Int8Outlier> all;   // row after row
    std::span<const std::size_t> ends;  // of each row's
  };
  // Until the calling thread's next call.
  RowOutliers OutliersOf(const Activations& x, Worker::Range rows) const {
    thread_local std::vector<Int8Outlier> all;
    thread_local std::vector<std::size_t> ends;
    all.clear();
    ends.clear();
    for (std::int64_t row = rows.begin; row < rows.end && input_.keeps_outliers; ++row) {
      x.ForOutliers(row, [&](std::int64_t column, float value) {
        all.push_back({static_cast<std::int32_t>(column), Excess(input_, value)});
      });
      ends.push_back(all.size());
    }
    return {all, ends};
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
