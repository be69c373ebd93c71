// The inner loops of attention, one table of them for each kind of CPU. Files that implement them
// are compiled for that CPU alone, so this header has plain data only: an inline function in it
// could be emitted there and then run elsewhere.
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_KERNELS_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "compute/kv_rows.h"

namespace ondine::compute {

inline constexpr int kMaxHeadDim = 256;
// Query rows that are worked on together. The rows of a KV head are its (query, head of the group)
// pairs, the heads of one query side by side.
inline constexpr int kTileRows = 32;
// Slots whose keys are rotated together.
inline constexpr int kSlotTile = 16;
// Slots between two updates of the running maximum. In a block that a row sees a part of, the
// others' values count with a weight of 0: a NaN among them reaches the row, but in the plain
// loops. Blocks begin at multiples of it, so a row's result does not depend on the rows around it.
inline constexpr int kSlotBlock = 128;
inline constexpr int kCommonSlots = 4;

// One KV head as it is stored, with the rotation its keys still need.
struct StoredHead {
  KvType type;
  int head_dim;
  std::size_t row_bytes;
  const std::byte* keys;
  const std::byte* values;
  int rope_dims;  // 0: keys carry their rotation already; else the tables of Rope:
  bool neighbours;
  const float* lane_cos;
  const float* lane_sin;
  const float* tile_cos;
  const float* tile_sin;
  // Slots 0 to kCommonSlots are there; but for the first they stand for what all keys have in
  // common.
  bool takes_off_common;
};

// Slots [begin, ...) of one KV head, converted to what a kernel multiplies fastest.
struct Panel {
  std::int64_t begin;  // a multiple of kSlotBlock
  void* keys;          // [slots][head_dim] in the kernel's own order and element type
  void* values;        // null where only scores are wanted
  float* key_scales;   // [slots]
  float* value_scales;
};

struct QueryTile {
  int rows;                       // at most kTileRows
  const float* q[kTileRows];      // [head_dim] each, rotated
  std::int64_t first[kTileRows];  // visible slots [first, last]
  std::int64_t last[kTileRows];
  float scale;  // of q.k times log2(e): weights are powers of two
};

struct AttentionKernels {
  std::size_t panel_element_bytes;

  // Fills the panel's slots [begin, end); begin is a multiple of kSlotTile, and room up to the next
  // multiple after `end` is filled with zeros.
  void (*pack)(const StoredHead& head, std::int64_t begin, std::int64_t end, const Panel& panel);

  // The running result of a tile: kTileRows * (head_dim + 2) floats in the kernel's own order.
  void (*begin)(int head_dim, float* state);
  // Adds the slots [begin, end), all in the panel; begin is a multiple of kSlotBlock.
  void (*add)(const QueryTile& tile, const Panel& panel, int head_dim, std::int64_t begin,
              std::int64_t end, float* state);
  void (*finish)(const QueryTile& tile, int head_dim, const float* state, float* const* out);

  // log2 of the unnormalised weights, to out[row][slot - begin]; the whole [begin, end), visible or
  // not.
  void (*scores)(const QueryTile& tile, const Panel& panel, int head_dim, std::int64_t begin,
                 std::int64_t end, float* const* out);

  // Turns the scores [first, last] of a row of `count` into weights that sum to 1, the others into
  // 0.
  void (*normalise)(float* row, std::int64_t first, std::int64_t last, std::int64_t count);

  // Attention of few rows to the slots [begin, end), straight from the store. To `partial`, for
  // each row: head_dim sums, the maximum (log2) and the sum of the weights, both relative to it.
  void (*few)(const QueryTile& tile, const StoredHead& head, std::int64_t begin, std::int64_t end,
              float* partial);
};

extern const AttentionKernels kPlainAttention;
// These multiply floats.
extern const AttentionKernels kAvx2Attention;
extern const AttentionKernels kNeonAttention;
// These need VNNI, and multiply integers of 16 or of 8 bits.
extern const AttentionKernels kAvx512Attention;
extern const AttentionKernels kAvx512ByteAttention;

void PackAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                         const Panel& panel);
void PackByteAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                             const Panel& panel);
void AttendFewAvx512(const QueryTile& tile, const StoredHead& head, std::int64_t begin,
                     std::int64_t end, float* partial);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_KERNELS_H_
