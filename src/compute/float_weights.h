// A matrix of F32, F16 or BF16 elements laid out for vectors of 16 outputs: panels of 16 rows, in a
// panel [column][16 rows]; of BF16 [column / 2][16 rows][2], since its dot products take pairs.
#ifndef ONDINE_SRC_COMPUTE_FLOAT_WEIGHTS_H_
#define ONDINE_SRC_COMPUTE_FLOAT_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "compute/thread_pool.h"
#include "formats/tensor_type.h"

namespace ondine::compute {

class FloatWeights {
 public:
  static constexpr std::int64_t kPanelRows = 16;
  // Panels of BF16 have a multiple of these, with zeros behind the last column: tiles of AMX.
  static constexpr std::int64_t kBFloat16Columns = 32;

  // `type` is kF32, kF16 or kBF16.
  FloatWeights(formats::TensorType type, std::int64_t in, std::int64_t out);

  // Fills the panels from rows as stored in the file. Returns the first row with an element that is
  // not finite, or `out` if there is none.
  std::int64_t Pack(std::span<const std::byte> data, ThreadPool& pool);

  formats::TensorType type() const { return type_; }
  std::int64_t in() const { return in_; }
  std::int64_t out() const { return out_; }
  std::int64_t panels() const { return (out_ + kPanelRows - 1) / kPanelRows; }
  std::size_t bytes() const { return static_cast<std::size_t>(panels() * panel_bytes_); }
  std::int64_t panel_bytes() const { return panel_bytes_; }
  const std::byte* Panel(std::int64_t panel) const { return data_.get() + panel * panel_bytes_; }

  // Row `row`, columns [first, first + count), as floats.
  void Read(std::int64_t row, std::int64_t first, std::int64_t count, float* out) const;

 private:
  // Position of an element in its panel, in elements.
  std::int64_t Index(std::int64_t lane, std::int64_t column) const {
    if (type_ != formats::TensorType::kBF16) return column * kPanelRows + lane;
    return (column / 2 * kPanelRows + lane) * 2 + column % 2;
  }

  formats::TensorType type_;
  std::int64_t in_, out_, element_bytes_, panel_bytes_;
  std::shared_ptr<std::byte> data_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_FLOAT_WEIGHTS_H_
