// A matrix of 8-bit integers, symmetric, with one scale for each output, laid out for dot products
// of four bytes: panels of 16 outputs; in a panel, byte 64 g + 4 r + i is column 4 g + i of row r.
// Columns and rows that are missing in the last group and panel are zero.
#ifndef ONDINE_SRC_COMPUTE_INT8_WEIGHTS_H_
#define ONDINE_SRC_COMPUTE_INT8_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "compute/aligned_array.h"
#include "compute/thread_pool.h"

namespace ondine::compute {

class Int8Weights {
 public:
  static constexpr std::int64_t kPanelRows = 16;
  static constexpr std::int64_t kGroup = 4;  // columns
  // Of columns: sums of products of any two bytes still fit into 32 bits.
  static constexpr std::int64_t kMostColumns = 2147483647 / (255 * 128);

  // `data` [out][in]; `scales` one for each output, or one for all.
  Int8Weights(std::int64_t in, std::int64_t out, std::span<const std::byte> data,
              std::span<const float> scales, ThreadPool& pool);

  std::int64_t in() const { return in_; }
  std::int64_t out() const { return out_; }
  std::int64_t groups() const { return groups_; }
  std::int64_t panels() const { return panels_; }
  std::size_t bytes() const;

  const std::int8_t* Panel(std::int64_t panel) const {
    return reinterpret_cast<const std::int8_t*>(data_.get()) + panel * panel_bytes();
  }
  std::int64_t panel_bytes() const { return groups_ * kGroup * kPanelRows; }
  std::int8_t At(std::int64_t row, std::int64_t column) const {
    return Panel(
        row /
        kPanelRows)[(column / kGroup * kPanelRows + row % kPanelRows) * kGroup + column % kGroup];
  }
  // For each output, and zeros up to the end of the last panel.
  const float* scales() const { return scales_.data(); }
  const std::int32_t* sums() const { return sums_.data(); }  // of its row's integers

 private:
  void Pack(const std::byte* data, std::int64_t panel);

  std::int64_t in_, out_, groups_, panels_;
  std::shared_ptr<std::byte> data_;
  AlignedArray<float> scales_;
  AlignedArray<std::int32_t> sums_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_INT8_WEIGHTS_H_
