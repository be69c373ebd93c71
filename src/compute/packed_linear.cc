// Linear layers whose weights are kept packed (packed_weights.h).
#include <algorithm>
#include <bit>
#include <string>

#include "compute/linear_impl.h"
#include "compute/packed_kernels.h"

namespace ondine::compute {
namespace {

class PackedLinear final : public Linear::Impl {
 public:
  PackedLinear(const LinearShape& shape, const PackedFormat& format, PackedKernel kernel)
      : Impl(shape), weights_(shape.type, format, shape.in, shape.out), kernel_(kernel) {}

  PackedWeights& weights() { return weights_; }
  std::size_t bytes() const override { return weights_.bytes(); }

  void Multiply(Worker::Range outputs, const Activations& x, Worker::Range rows, Store store,
                float* y, std::int64_t stride) const override {
    const Worker::Range panels = {outputs.begin / kPanelRows,
                                  (outputs.end + kPanelRows - 1) / kPanelRows};
    const std::int64_t step = RowsAtOnce(shape().in);
    for (std::int64_t row = rows.begin; row < rows.end; row += step) {
      const PackedInput input = Prepare(x, row, std::min(step, rows.end - row));
      kernel_(weights_, panels, input, store == Store::kAdd, y + (row - rows.begin) * stride,
              stride);
    }
  }

  void GetRow(std::int64_t row, float* out) const override {
    const std::int64_t panel = row / kPanelRows, lane = row % kPanelRows;
    for (std::int64_t block = 0; block < weights_.blocks(); ++block) {
      std::uint8_t codes[kGroups][kPanelRows][4];
      BlockScales scales;
      weights_.ReadCodes(panel, block, codes, {lane, lane + 1});
      weights_.ReadScales(panel, block, scales, {lane, lane + 1});
      for (std::int64_t i = 0; i < PackedFormat::kBlock; ++i) {
        const int value = codes[i / 4][lane][i % 4] - weights_.format().offset;
        *out++ = scales.scale[i / 16][lane] * static_cast<float>(value) + scales.min[i / 16][lane];
      }
    }
  }

 private:
  // What follows from the activations and the format is worked out once for all panels.
  PackedInput Prepare(const Activations& x, std::int64_t row, std::int64_t rows) const {
    PackedInput input;
    input.rows = rows;
    input.blocks = weights_.blocks();
    input.quants = x.Quants(row);
    input.scales = x.Scales(row);
    const std::int32_t* half_sums = x.HalfSums(row);
    const bool pair = ScalesPerBlock(weights_.format().scales) == 2;
    const std::int64_t blocks = rows * input.blocks;
    thread_local AlignedArray<std::int32_t> starts;
    thread_local AlignedArray<float> scaled_sums;
    const auto sum = [&](std::int64_t i) {
      return pair ? half_sums[i] : half_sums[2 * i] + half_sums[2 * i + 1];
    };
    const std::int64_t count = pair ? blocks * 2 : blocks;
    if (HasMin(weights_.format().scales)) {
      scaled_sums.Reserve(static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; ++i) {
        scaled_sums.data()[i] = input.scales[pair ? i / 2 : i] * static_cast<float>(sum(i));
      }
      input.scaled_sums = scaled_sums.data();
    } else {
      starts.Reserve(static_cast<std::size_t>(count));
      const std::int32_t offset = weights_.format().offset;
      for (std::int64_t i = 0; i < count; ++i) starts.data()[i] = kDotBias - offset * sum(i);
      input.starts = starts.data();
    }
    return input;
  }

  PackedWeights weights_;
  PackedKernel kernel_;
};

}  // namespace

Result<LinearImpl> CreatePackedLinear(const LinearShape& shape, const PackedFormat& format,
                                      std::span<const std::byte> data, ThreadPool& pool,
                                      PackedKernel kernel) {
  auto linear = std::make_unique<PackedLinear>(shape, format, kernel);
  const std::int64_t bad_row = linear->weights().Pack(data, pool);
  if (bad_row < shape.out) {
    return MakeError(ErrorCode::kCorrupt,
                     "row " + std::to_string(bad_row) + " has a block scale that is no number");
  }
  return linear;
}

}  // namespace ondine::compute
