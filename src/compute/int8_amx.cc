#include <immintrin.h>

#include <algorithm>

#include "compute/int8_kernels.h"
#include "compute/lanes_avx512.h"
#include "compute/tiles_amx.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kPanelRows = Int8Weights::kPanelRows;
constexpr std::int64_t kGroupBytes = Int8Weights::kGroup * kPanelRows;     // of a panel
constexpr std::int64_t kStepGroups = kTileRowBytes / Int8Weights::kGroup;  // a tile's columns
constexpr int kMostPanels = 2, kMostRowTiles = 2;  // four tiles of sums, two of either factor

// sums[r][p]: row tile r of x times panel p, from `starts` on. A group of a panel is a row of a
// tile as it lies in memory.
template <int kRowTiles, int kPanels>
void MultiplyTiles(const std::int8_t* panel, std::int64_t panel_bytes, std::int64_t groups,
                   const std::uint8_t* codes, std::int64_t code_stride, const std::int32_t* starts,
                   TileSums (&sums)[kMostRowTiles][kMostPanels]) {
  // All rows of a tile begin alike.
  _tile_loadd(0, starts, 0);
  if constexpr (kPanels == 2) _tile_loadd(1, starts + kPanelRows, 0);
  if constexpr (kRowTiles == 2) _tile_loadd(2, starts, 0);
  if constexpr (kRowTiles == 2 && kPanels == 2) _tile_loadd(3, starts + kPanelRows, 0);
  for (std::int64_t g = 0; g < groups; g += kStepGroups) {
    const std::uint8_t* input = codes + g * Int8Weights::kGroup;
    const std::int8_t* weights = panel + g * kGroupBytes;
    _tile_loadd(4, input, code_stride);
    _tile_loadd(6, weights, kGroupBytes);
    _tile_dpbusd(0, 4, 6);
    if constexpr (kPanels == 2) {
      _tile_loadd(7, weights + panel_bytes, kGroupBytes);
      _tile_dpbusd(1, 4, 7);
    }
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, input + kTileRows * code_stride, code_stride);
      _tile_dpbusd(2, 5, 6);
      if constexpr (kPanels == 2) _tile_dpbusd(3, 5, 7);
    }
  }
  _tile_stored(0, &sums[0][0], kTileRowBytes);
  if constexpr (kPanels == 2) _tile_stored(1, &sums[0][1], kTileRowBytes);
  if constexpr (kRowTiles == 2) _tile_stored(2, &sums[1][0], kTileRowBytes);
  if constexpr (kRowTiles == 2 && kPanels == 2) _tile_stored(3, &sums[1][1], kTileRowBytes);
}
constexpr decltype(&MultiplyTiles<1, 1>) kTiles[kMostRowTiles][kMostPanels] = {
    {MultiplyTiles<1, 1>, MultiplyTiles<1, 2>}, {MultiplyTiles<2, 1>, MultiplyTiles<2, 2>}};

// Rows of a tile of sums for each of kPanels panels, from floats to y.
template <int kPanels>
void Finish(const TileSums* sums, const float* scales, __mmask16 last_mask, bool add, float* y,
            std::int64_t stride) {
  __m512 scale[kPanels];
  for (int p = 0; p < kPanels; ++p) scale[p] = _mm512_load_ps(scales + p * kPanelRows);
  for (std::int64_t r = 0; r < kTileRows; ++r, y += stride) {
    for (int p = 0; p < kPanels; ++p) {
      const __mmask16 mask = p == kPanels - 1 ? last_mask : static_cast<__mmask16>(0xffff);
      float* target = y + p * kPanelRows;
      const __m512 old = add ? _mm512_maskz_loadu_ps(mask, target) : _mm512_setzero_ps();
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums[p].rows[r]));
      _mm512_mask_storeu_ps(target, mask, _mm512_fmadd_ps(sum, scale[p], old));
    }
  }
}

// x.rows is a multiple of kTileRows.
void MultiplyWholeTiles(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                        const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  const TileScope scope(FullTiles());
  TileSums sums[kMostRowTiles][kMostPanels];
  for (std::int64_t row = 0; row < x.rows; row += kMostRowTiles * kTileRows) {
    const int tiles = row + kTileRows < x.rows ? 2 : 1;
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += kMostPanels) {
      const int count = panel + 1 < panels.end ? 2 : 1;
      const std::int64_t output = panel * kPanelRows;
      kTiles[tiles - 1][count - 1](weights.Panel(panel), weights.panel_bytes(), weights.groups(),
                                   x.codes + row * x.stride, x.stride, outputs.starts + output,
                                   sums);
      const __mmask16 mask = FirstLanes(weights.out() - output - (count - 1) * kPanelRows);
      float* target = y + row * stride + output - panels.begin * kPanelRows;
      for (int r = 0; r < tiles; ++r, target += kTileRows * stride) {
        (count == 2 ? Finish<2> : Finish<1>)(sums[r], outputs.scales + output, mask, add, target,
                                             stride);
      }
    }
  }
}

}  // namespace

void MultiplyInt8Amx(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                     const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  const bool whole_steps = weights.groups() % kStepGroups == 0;
  Int8Input rest = x;
  if (whole_steps && x.rows >= kTileRows) {
    Int8Input whole = x;
    whole.rows = x.rows / kTileRows * kTileRows;
    // A pair of row tiles passes over as many panels as stay in the second cache.
    constexpr std::int64_t kPanelsBytes = 512 * 1024;
    const std::int64_t step =
        std::max<std::int64_t>(1, kPanelsBytes / weights.panel_bytes() / kMostPanels) * kMostPanels;
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += step) {
      const Worker::Range some = {panel, std::min(panel + step, panels.end)};
      MultiplyWholeTiles(weights, some, whole, outputs, add,
                         y + (panel - panels.begin) * kPanelRows, stride);
    }
    rest.rows -= whole.rows;
    rest.codes += whole.rows * x.stride;
    y += whole.rows * stride;
  }
  if (rest.rows > 0) MultiplyInt8Avx512(weights, panels, rest, outputs, add, y, stride);
}

}  // namespace ondine::compute
