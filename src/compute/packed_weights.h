// A block-quantised matrix laid out for 64-byte vectors, in as many bits as the file has.
//
// Sixteen rows form a panel. In a panel, a block of 32 columns is eight groups of four; the codes
// of a group, unpacked, are one vector: byte 4 * r + i holds column i of row r, which is how
// vpdpbusd wants them. A panel is contiguous: scales of all its blocks, then codes of all its
// blocks.
//
// Codes of a block (16 rows x 32 columns), v0, v1, ... being vectors of 64 bytes:
//   2 bits  v0: groups 0-3, v1: groups 4-7; group g at bit 2 * (g % 4)
//   3 bits  as 2 bits; v2: bit g is the third bit of group g
//   4 bits  v0-v3: group v in the low halves of the bytes, group v + 4 in the high ones
//   5 bits  as 4 bits; v4: bit g is the fifth bit of group g
//   6 bits  as 4 bits; v4: two high bits of groups 0-3, v5: of groups 4-7, placed as in 2 bits
//   8 bits  v0-v7: the groups
// Scales of a block, each item for 16 rows: 16-bit floats scale[1 or 2], min[0 or 1]. Super scales,
// for 8 blocks: 16-bit floats scale, min if any; then, for each block, bytes scale[1 or 2] and
// min[0, 1 or 2].
#ifndef ONDINE_SRC_COMPUTE_PACKED_WEIGHTS_H_
#define ONDINE_SRC_COMPUTE_PACKED_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "compute/packed_format.h"
#include "compute/thread_pool.h"

namespace ondine::compute {

constexpr std::int64_t kPanelRows = 16;
constexpr std::int64_t kVectorBytes = 64;
constexpr std::int64_t kGroups = 8;  // of four columns, in a block

constexpr std::int64_t CodeVectors(CodeKind kind) {  // of a block
  switch (kind) {
    case CodeKind::k2: return 2;
    case CodeKind::k3: return 3;
    case CodeKind::k4:
    case CodeKind::k4Table: return 4;
    case CodeKind::k5: return 5;
    case CodeKind::k6: return 6;
    case CodeKind::k8: return 8;
  }
  return 0;
}

// Bytes of the scales of one block, or of eight blocks with super scales.
constexpr std::int64_t ScaleBytes(ScaleKind kind) {
  const std::int64_t scales = ScalesPerBlock(kind), mins = HasMin(kind) ? scales : 0;
  if (!IsSuper(kind)) return (scales + mins) * 2 * kPanelRows;
  return (1 + (mins > 0)) * 2 * kPanelRows +
         PackedFormat::kBlocksPerSuper * (scales + mins) * kPanelRows;
}

// Scales of one block of a panel as floats.
struct BlockScales {
  float scale[2][kPanelRows];  // the second for columns 16 to 31 where they have their own
  float min[2][kPanelRows];    // added to a weight; 0 where the format has none
};

class PackedWeights {
 public:
  PackedWeights(formats::TensorType type, const PackedFormat& format, std::int64_t in,
                std::int64_t out);

  // Fills the panels from rows as stored in the file. Returns the first row with a scale that is
  // not finite (or too large to be true), or `out` if there is none.
  std::int64_t Pack(std::span<const std::byte> data, ThreadPool& pool);

  const PackedFormat& format() const { return format_; }
  std::int64_t in() const { return blocks_ * PackedFormat::kBlock; }
  std::int64_t out() const { return out_; }
  std::int64_t blocks() const { return blocks_; }
  std::int64_t panels() const { return (out_ + kPanelRows - 1) / kPanelRows; }
  std::size_t bytes() const { return static_cast<std::size_t>(panels() * panel_bytes_); }

  const std::uint8_t* Scales(std::int64_t panel) const {
    return data_.get() + panel * panel_bytes_;
  }
  const std::uint8_t* Codes(std::int64_t panel) const { return Scales(panel) + scale_bytes_; }

  // Rows of a panel.
  struct RowRange {
    std::int64_t begin = 0, end = kPanelRows;
  };
  // One block in plain form, without vector instructions; only these rows are filled in.
  void ReadCodes(std::int64_t panel, std::int64_t block,
                 std::uint8_t values[kGroups][kPanelRows][4], RowRange rows) const;
  void ReadScales(std::int64_t panel, std::int64_t block, BlockScales& out, RowRange rows) const;

 private:
  void PackBlock(const StoredBlock (&rows)[kPanelRows], std::uint8_t* panel,
                 std::int64_t block) const;

  formats::TensorType type_;
  PackedFormat format_;
  std::int64_t out_, blocks_, scale_bytes_, panel_bytes_;
  std::shared_ptr<std::uint8_t> data_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_PACKED_WEIGHTS_H_
