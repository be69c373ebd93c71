// How the block-quantised types of GGUF are kept for multiplication: as unsigned codes of 2 to 8
// bits and one or two scales for each block of 32 elements of a row.
//
//   w = scale * (Value(code) - offset) + minimum
#ifndef ONDINE_SRC_COMPUTE_PACKED_FORMAT_H_
#define ONDINE_SRC_COMPUTE_PACKED_FORMAT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "formats/tensor_type.h"

namespace ondine::compute {

// Bits of a code. k4Table: the code is an index into a table of 16 values.
enum class CodeKind { k2, k3, k4, k4Table, k5, k6, k8 };

// How scales are stored. "Super" scales are products of a 16-bit float for 256 elements and an
// 8-bit integer; "pair" means one for each 16 elements, not 32; "min" that there are minimums
// beside them, stored in the same way.
enum class ScaleKind {
  kHalf,
  kHalfMin,
  kHalfPair,
  kBFloat16,
  kSuper,
  kSuperMin,
  kSuperPair,
  kSuperPairMin
};

constexpr bool HasMin(ScaleKind kind) {
  return kind == ScaleKind::kHalfMin || kind == ScaleKind::kSuperMin ||
         kind == ScaleKind::kSuperPairMin;
}
constexpr bool IsSuper(ScaleKind kind) {
  return kind >= ScaleKind::kSuper;
}
constexpr int ScalesPerBlock(ScaleKind kind) {
  return kind == ScaleKind::kHalfPair || kind == ScaleKind::kSuperPair ||
                 kind == ScaleKind::kSuperPairMin
             ? 2
             : 1;
}

struct PackedFormat {
  static constexpr std::int64_t kBlock = 32;          // elements
  static constexpr std::int64_t kBlocksPerSuper = 8;  // of 256 elements

  CodeKind codes;
  ScaleKind scales;
  int offset;                                           // subtracted from a code's value
  const std::array<std::uint8_t, 16>* table = nullptr;  // of k4Table
};

// Nullopt: the type is not kept in this way.
std::optional<PackedFormat> FindPackedFormat(formats::TensorType type);

// One block of 32 elements of a row, taken apart.
struct StoredBlock {
  std::uint8_t codes[32];
  // Bits of 16-bit floats: of this block, or of its super block.
  std::uint16_t scale[2], min[2];
  // The integer factors of super scales.
  std::int8_t sub_scale[2], sub_min[2];
};

// The blocks of 32 elements, 1 to kBlocksPerSuper, that one block of GGUF holds. `type` has a
// packed format.
void ReadStoredBlocks(formats::TensorType type, const std::byte* at, StoredBlock* out);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_PACKED_FORMAT_H_
