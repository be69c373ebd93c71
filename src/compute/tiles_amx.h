// Products on the tile registers of AMX, eight of 16 rows of 64 bytes, which the kernels of 8-bit
// integers and of BF16 share. `Product` says what is multiplied:
//   kDot                  which product of tiles
//   outputs(), steps()    of the matrix; steps of 64 bytes of a row of the input
//   Panel(panel), panel_bytes()   weights of 16 outputs: each step a tile as it lies in memory
//   Input(row), input_stride()    rows of the input; whole steps, whole tiles of rows
//   Starts(panel)         64 bytes from which the sums of its outputs start, in every row
//   Scales(panel), Floats(sums, scales, old)   what a row of sums is in floats, on top of `old`
#ifndef ONDINE_SRC_COMPUTE_TILES_AMX_H_
#define ONDINE_SRC_COMPUTE_TILES_AMX_H_

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "compute/lanes_avx512.h"
#include "compute/thread_pool.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

constexpr std::int64_t kTileRows = 16;
constexpr std::int64_t kTileRowBytes = 64;
constexpr std::int64_t kTileBytes = kTileRows * kTileRowBytes;
constexpr std::int64_t kTileOutputs = 16;

// Shapes of the eight tiles, as the processor reads them: all full.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  TileShapes() {
    std::fill_n(row_bytes, 8, kTileRowBytes);
    std::fill_n(rows, 8, kTileRows);
  }
};

// This thread may use tiles while it lives. Between uses they are given back: tiles in use make
// every switch between threads dearer.
class TileScope {
 public:
  TileScope() {
    const TileShapes shapes;
    // GCC 12 believes that its intrinsic reads the first bytes alone, and may drop the others.
    asm volatile("" : : "r"(&shapes) : "memory");
    _tile_loadconfig(&shapes);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

struct alignas(64) TileSums {
  std::int32_t rows[kTileRows][kTileOutputs];  // or floats
};

enum class TileDot { kBytes, kBFloat16 };
constexpr int kMostPanels = 2, kMostRowTiles = 2;  // four tiles of sums, two of either factor

// sums[r][p]: row tile r of the input times panel p.
template <typename Product, int kRowTiles, int kPanels>
void MultiplyTiles(const Product& product, std::int64_t row, std::int64_t panel,
                   TileSums (&sums)[kMostRowTiles][kMostPanels]) {
  constexpr bool kBytes = Product::kDot == TileDot::kBytes;
  const std::byte* weights = product.Panel(panel);
  const std::byte* input = product.Input(row);
  const std::int64_t panel_bytes = product.panel_bytes(), stride = product.input_stride();
  // All rows of a tile begin alike.
  _tile_loadd(0, product.Starts(panel), 0);
  if constexpr (kPanels == 2) _tile_loadd(1, product.Starts(panel + 1), 0);
  if constexpr (kRowTiles == 2) _tile_loadd(2, product.Starts(panel), 0);
  if constexpr (kRowTiles == 2 && kPanels == 2) _tile_loadd(3, product.Starts(panel + 1), 0);
  for (std::int64_t step = product.steps(); step > 0; --step) {
    _tile_loadd(4, input, stride);
    _tile_loadd(6, weights, kTileRowBytes);
    if constexpr (kBytes) _tile_dpbusd(0, 4, 6);
    if constexpr (!kBytes) _tile_dpbf16ps(0, 4, 6);
    if constexpr (kPanels == 2) {
      _tile_loadd(7, weights + panel_bytes, kTileRowBytes);
      if constexpr (kBytes) _tile_dpbusd(1, 4, 7);
      if constexpr (!kBytes) _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, input + kTileRows * stride, stride);
      if constexpr (kBytes) _tile_dpbusd(2, 5, 6);
      if constexpr (!kBytes) _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (kRowTiles == 2 && kPanels == 2) {
      if constexpr (kBytes) _tile_dpbusd(3, 5, 7);
      if constexpr (!kBytes) _tile_dpbf16ps(3, 5, 7);
    }
    input += kTileRowBytes;
    weights += kTileBytes;
  }
  _tile_stored(0, &sums[0][0], kTileRowBytes);
  if constexpr (kPanels == 2) _tile_stored(1, &sums[0][1], kTileRowBytes);
  if constexpr (kRowTiles == 2) _tile_stored(2, &sums[1][0], kTileRowBytes);
  if constexpr (kRowTiles == 2 && kPanels == 2) _tile_stored(3, &sums[1][1], kTileRowBytes);
}

// The first `rows` rows of a tile of sums for each of kPanels panels, as floats to y.
template <typename Product, int kPanels>
void Finish(const Product& product, const TileSums* sums, std::int64_t rows, std::int64_t panel,
            bool add, float* y, std::int64_t stride) {
  const __mmask16 last_mask = FirstLanes(product.outputs() - (panel + kPanels - 1) * kTileOutputs);
  __m512 scales[kPanels];
  for (int p = 0; p < kPanels; ++p) scales[p] = product.Scales(panel + p);
  for (std::int64_t r = 0; r < rows; ++r, y += stride) {
    for (int p = 0; p < kPanels; ++p) {
      const __mmask16 mask = p == kPanels - 1 ? last_mask : static_cast<__mmask16>(0xffff);
      float* target = y + p * kTileOutputs;
      const __m512 old = add ? _mm512_maskz_loadu_ps(mask, target) : _mm512_setzero_ps();
      const __m512i row = _mm512_load_si512(sums[p].rows[r]);
      _mm512_mask_storeu_ps(target, mask, product.Floats(row, scales[p], old));
    }
  }
}

// `rows` rows of the input times the panels, the first of which is at y[0]; adds to y if `add`.
template <typename Product>
void MultiplyWithTiles(const Product& product, Worker::Range panels, std::int64_t rows, bool add,
                       float* y, std::int64_t stride) {
  constexpr decltype(&MultiplyTiles<Product, 1, 1>) kMultiply[kMostRowTiles][kMostPanels] = {
      {MultiplyTiles<Product, 1, 1>, MultiplyTiles<Product, 1, 2>},
      {MultiplyTiles<Product, 2, 1>, MultiplyTiles<Product, 2, 2>}};
  // A pair of row tiles passes over as many panels as stay in the second cache.
  constexpr std::int64_t kPassBytes = 512 * 1024;
  const std::int64_t pass =
      std::max<std::int64_t>(1, kPassBytes / product.panel_bytes() / kMostPanels) * kMostPanels;
  const TileScope scope;
  TileSums sums[kMostRowTiles][kMostPanels];
  for (std::int64_t first = panels.begin; first < panels.end; first += pass) {
    const std::int64_t end = std::min(first + pass, panels.end);
    for (std::int64_t row = 0; row < rows; row += kMostRowTiles * kTileRows) {
      const int tiles = row + kTileRows < rows ? 2 : 1;
      for (std::int64_t panel = first; panel < end; panel += kMostPanels) {
        const int count = panel + 1 < end ? 2 : 1;
        kMultiply[tiles - 1][count - 1](product, row, panel, sums);
        for (std::int64_t r = 0; r < tiles; ++r) {
          const std::int64_t at = row + r * kTileRows;
          (count == 2 ? Finish<Product, 2>
                      : Finish<Product, 1>)(product, sums[r], std::min(kTileRows, rows - at), panel,
                                            add,
                                            y + at * stride + (panel - panels.begin) * kTileOutputs,
                                            stride);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_TILES_AMX_H_
