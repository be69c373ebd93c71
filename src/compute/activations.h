// The input of linear layers: rows of floats and, beside them, the same rows in 8 bits: in blocks
// with a scale each, or in a static code.
#ifndef ONDINE_SRC_COMPUTE_ACTIVATIONS_H_
#define ONDINE_SRC_COMPUTE_ACTIVATIONS_H_

#include <bit>
#include <cstdint>
#include <cstring>

#include "compute/aligned_array.h"
#include "compute/static_code.h"

namespace ondine::compute {

// Each row of `width` floats is cut into blocks of 32: q = round(x / scale), scale = max|x| / 127.
// The integers are those of ggml's Q8_0 on x86 (x times 127 / max, rounded to the nearest even), so
// that integer products equal llama.cpp's; the scale is kept as a float, where ggml rounds it to
// 16 bits. A block that holds a NaN or an infinity has the scale NaN.
class Activations {
 public:
  static constexpr std::int64_t kBlock = 32;

  // Makes room for `rows` x `width`; keeps memory it already has. Contents become undefined.
  void Resize(std::int64_t rows, std::int64_t width);
  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return width_; }
  std::int64_t blocks() const { return blocks_; }  // of a row

  float* Row(std::int64_t row) { return values_.data() + row * width_; }  // [width]
  const float* Row(std::int64_t row) const { return values_.data() + row * width_; }
  // Makes the 8-bit form of a row from its floats; call it after writing the row. Rows may be
  // finished by different threads.
  void Finish(std::int64_t row);

  // Makes the row's codes of a static code, which products with 8-bit weights take, and, if it
  // keeps outliers, notes which values are.
  void FinishStatic(std::int64_t row, const StaticCode& code);
  // The same for columns [first, first + count) from floats that lie elsewhere, of which only the
  // outliers are copied. `first` is a multiple of kOutlierGroup; the columns may be coded by
  // different threads.
  static constexpr std::int64_t kOutlierGroup = 16;
  void FinishStatic(std::int64_t row, std::int64_t first, std::int64_t count, const float* values,
                    const StaticCode& code);
  const std::uint8_t* Codes(std::int64_t row) const { return codes_.data() + row * code_stride_; }
  std::int64_t code_stride() const { return code_stride_; }
  // Calls visit(column, value) for each of the row's outliers.
  template <typename Visit>
  void ForOutliers(std::int64_t row, Visit&& visit) const {
    const std::uint16_t* groups = outliers_.data() + row * outlier_stride_;
    for (std::int64_t i = 0; i < outlier_stride_; i += 4) {
      std::uint64_t bits;
      std::memcpy(&bits, groups + i, sizeof bits);
      for (; bits != 0; bits &= bits - 1) {
        const std::int64_t column = i * kOutlierGroup + std::countr_zero(bits);
        visit(column, Row(row)[column]);
      }
    }
  }

  // The 8-bit form, as finished. Blocks are zero-padded where width is no multiple of 32.
  const std::int8_t* Quants(std::int64_t row) const {  // [blocks * 32]
    return quants_.data() + row * blocks_ * kBlock;
  }
  const float* Scales(std::int64_t row) const {
    return scales_.data() + row * blocks_;
  }  // [blocks]
  // Sum of the quants of each half block.
  const std::int32_t* HalfSums(std::int64_t row) const {  // [blocks * 2]
    return half_sums_.data() + row * blocks_ * 2;
  }

 private:
  std::int64_t rows_ = 0, width_ = 0, blocks_ = 0, code_stride_ = 0, outlier_stride_ = 0;
  AlignedArray<float> values_;
  AlignedArray<std::int8_t> quants_;
  AlignedArray<float> scales_;
  AlignedArray<std::int32_t> half_sums_;
  AlignedArray<std::uint8_t> codes_;
  // A bit for each column: its value, which lies in its row, is an outlier. Four words more than
  // needed at most, of which those behind the last column are zero.
  AlignedArray<std::uint16_t> outliers_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ACTIVATIONS_H_
