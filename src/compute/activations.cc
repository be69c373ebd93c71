#include "compute/activations.h"

#include <algorithm>
#include <bit>

#include "compute/activation_quants.h"

namespace ondine::compute {
namespace {

// Bytes. Rows a power of two apart would share few of a cache's sets.
constexpr std::int64_t kLine = 64;

}  // namespace

void Activations::Resize(std::int64_t rows, std::int64_t width) {
  rows_ = rows;
  width_ = width;
  blocks_ = (width + kBlock - 1) / kBlock;
  code_stride_ = (width + kLine - 1) / kLine * kLine + kLine;
  values_.Reserve(static_cast<std::size_t>(rows * width));
  quants_.Reserve(static_cast<std::size_t>(rows * blocks_ * kBlock));
  scales_.Reserve(static_cast<std::size_t>(rows * blocks_));
  half_sums_.Reserve(static_cast<std::size_t>(rows * blocks_ * 2));
  codes_.Reserve(static_cast<std::size_t>(rows * code_stride_));
  outlier_stride_ = (width + 4 * kOutlierGroup - 1) / (4 * kOutlierGroup) * 4;
  outliers_.Reserve(static_cast<std::size_t>(rows * outlier_stride_));
}

void Activations::FinishStatic(std::int64_t row, const StaticCode& code) {
  FinishStatic(row, 0, width_, Row(row), code);
}

void Activations::FinishStatic(std::int64_t row, std::int64_t first, std::int64_t count,
                               const float* values, const StaticCode& code) {
  std::uint8_t* codes = codes_.data() + row * code_stride_;
  std::uint16_t* groups = outliers_.data() + row * outlier_stride_;
  std::uint16_t* outliers = code.keeps_outliers ? groups + first / kOutlierGroup : nullptr;
  Encode(code, values, count, codes + first, outliers);
  const bool last = first + count == width_;
  // Dot products take four columns at a time.
  if (last) std::fill_n(codes + width_, 4, std::uint8_t{0});
  if (!code.keeps_outliers) return;
  if (last) {
    const std::int64_t end = (width_ + kOutlierGroup - 1) / kOutlierGroup;
    std::fill(groups + end, groups + outlier_stride_, std::uint16_t{0});
  }
  float* own = Row(row) + first;
  if (own == values) return;
  for (std::int64_t i = 0; i < count; i += kOutlierGroup) {
    for (unsigned bits = outliers[i / kOutlierGroup]; bits != 0; bits &= bits - 1) {
      const std::int64_t c = i + std::countr_zero(bits);
      own[c] = values[c];
    }
  }
}

void Activations::Finish(std::int64_t row) {
  const RowQuantizer quantize = BestRowQuantizer();
  const float* x = Row(row);
  std::int8_t* quants = quants_.data() + row * blocks_ * kBlock;
  float* scales = scales_.data() + row * blocks_;
  std::int32_t* half_sums = half_sums_.data() + row * blocks_ * 2;
  const std::int64_t whole = width_ / kBlock;
  quantize(x, whole, quants, scales, half_sums);
  if (whole < blocks_) {
    float rest[kBlock] = {};
    std::copy(x + whole * kBlock, x + width_, rest);
    quantize(rest, 1, quants + whole * kBlock, scales + whole, half_sums + whole * 2);
  }
}

}  // namespace ondine::compute
