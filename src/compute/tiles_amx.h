// The tile registers of AMX: eight of 16 rows of 64 bytes.
#ifndef ONDINE_SRC_COMPUTE_TILES_AMX_H_
#define ONDINE_SRC_COMPUTE_TILES_AMX_H_

#include <immintrin.h>

#include <cstdint>

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

constexpr std::int64_t kTileRows = 16;
constexpr std::int64_t kTileRowBytes = 64;

// Shapes of the eight tiles, as the processor reads them.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

inline TileShapes FullTiles() {
  TileShapes shapes;
  for (int tile = 0; tile < 8; ++tile) {
    shapes.row_bytes[tile] = kTileRowBytes;
    shapes.rows[tile] = kTileRows;
  }
  return shapes;
}

// The tiles of this thread have these shapes while it lives. Between uses they are given back:
// tiles in use make every switch between threads dearer.
class TileScope {
 public:
  explicit TileScope(const TileShapes& shapes) {
    // GCC 12 believes that its intrinsic reads the first bytes alone, and may drop the others.
    asm volatile("" : : "r"(&shapes) : "memory");
    _tile_loadconfig(&shapes);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// Integers of 32 bits: what a tile of sums holds.
struct alignas(64) TileSums {
  std::int32_t rows[kTileRows][kTileRowBytes / 4];
};

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_TILES_AMX_H_
