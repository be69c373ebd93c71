#include <immintrin.h>

#include <array>

#include "compute/int8_kernels.h"
#include "compute/lanes_avx512.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kPanelRows = Int8Weights::kPanelRows;
constexpr std::int64_t kVectorBytes = 64;  // a group of a panel
constexpr int kMostPanels = 2;             // of a tile: 32 outputs
constexpr int kMostRows = 8;               // of a tile: 16 sums; of 24, GCC 12 keeps some in memory

// kRows rows of x times kPanels panels; outputs is that of the first panel.
template <int kPanels, int kRows>
void MultiplyTile(const std::int8_t* panel, std::int64_t panel_bytes, std::int64_t groups,
                  const std::uint8_t* codes, std::int64_t code_stride, const Int8Outputs& outputs,
                  __mmask16 last_mask, bool add, float* y, std::int64_t stride) {
  __m512i sums[kRows][kPanels];
#pragma GCC unroll 16
  for (int p = 0; p < kPanels; ++p) {
    const __m512i start = _mm512_load_si512(outputs.starts + p * kPanelRows);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sums[r][p] = start;
  }
  // A loop that runs at least once: where it may not, GCC 12 keeps a second copy of the sums in
  // memory for what comes after it.
  std::int64_t g = 0;
  do {
    __m512i weights[kPanels];
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) {
      weights[p] = _mm512_load_si512(panel + p * panel_bytes + g * kVectorBytes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i input = Avx512Lanes::FourBytes(codes + r * code_stride + g * Int8Weights::kGroup);
#pragma GCC unroll 16
      for (int p = 0; p < kPanels; ++p) {
        AddByteProducts(sums[r][p], input, weights[p]);
      }
    }
  } while (++g < groups);
#pragma GCC unroll 16
  for (int p = 0; p < kPanels; ++p) {
    const __mmask16 mask = p == kPanels - 1 ? last_mask : static_cast<__mmask16>(0xffff);
    const __m512 scale = _mm512_load_ps(outputs.scales + p * kPanelRows);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* target = y + r * stride + p * kPanelRows;
      const __m512 old = add ? _mm512_maskz_loadu_ps(mask, target) : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(target, mask,
                            _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][p]), scale, old));
    }
  }
}

template <int kPanels>
constexpr auto kTiles = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
  return std::array{&MultiplyTile<kPanels, kIndex + 1>...};
}
(std::make_integer_sequence<int, kMostRows>());

// One row: weights go from memory through registers once. Several panels are read side by side,
// which keeps more of the memory's prefetchers busy.
template <int kStreams>
void MultiplyRow(const std::int8_t* panel, std::int64_t panel_bytes, std::int64_t groups,
                 const std::uint8_t* codes, const Int8Outputs& outputs, __mmask16 last_mask,
                 bool add, float* y) {
  MultiplyTile<kStreams, 1>(panel, panel_bytes, groups, codes, 0, outputs, last_mask, add, y, 0);
}
constexpr std::int64_t kMostStreams = 4;
constexpr std::array kRowKernels = {&MultiplyRow<1>, &MultiplyRow<2>, &MultiplyRow<3>,
                                    &MultiplyRow<4>};

// Of kPanels panels, the first of which is `first`.
template <int kPanels>
void AddOutliers(const Int8Weights& weights, std::int64_t first,
                 std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  const std::int8_t* panel = weights.Panel(first);
  const std::int64_t panel_bytes = weights.panel_bytes();
  __m512 sums[kPanels] = {};
  for (const Int8Outlier& outlier : outliers) {
    // A column is a byte of each lane of its group: the dot product with a 1 there.
    const auto column = static_cast<unsigned>(outlier.column);
    const __m512i one = _mm512_set1_epi32(1 << (8 * (column % 4)));
    const std::int8_t* group = panel + column / 4 * kVectorBytes;
    const __m512 excess = _mm512_set1_ps(outlier.excess);
#pragma GCC unroll 16
    for (int p = 0; p < kPanels; ++p) {
      const __m512i bytes = _mm512_dpbusd_epi32(_mm512_setzero_si512(), one,
                                                _mm512_load_si512(group + p * panel_bytes));
      sums[p] = _mm512_fmadd_ps(excess, _mm512_cvtepi32_ps(bytes), sums[p]);
    }
  }
  scales += first * kPanelRows;
#pragma GCC unroll 16
  for (int p = 0; p < kPanels; ++p) {
    const __mmask16 mask = FirstLanes(weights.out() - (first + p) * kPanelRows);
    float* target = y + p * kPanelRows;
    _mm512_mask_storeu_ps(target, mask,
                          _mm512_fmadd_ps(sums[p], _mm512_load_ps(scales + p * kPanelRows),
                                          _mm512_maskz_loadu_ps(mask, target)));
  }
}

}  // namespace

void MultiplyInt8Avx512(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                        const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  const std::int64_t most = x.rows == 1 ? kMostStreams : kMostPanels;
  std::int64_t count = 0;
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += count) {
    count = panels.end - panel < most ? panels.end - panel : most;
    const __mmask16 last_mask = FirstLanes(weights.out() - (panel + count - 1) * kPanelRows);
    const Int8Outputs here = {outputs.starts + panel * kPanelRows,
                              outputs.scales + panel * kPanelRows};
    float* target = y + (panel - panels.begin) * kPanelRows;
    if (x.rows == 1) {
      kRowKernels[static_cast<std::size_t>(count - 1)](weights.Panel(panel), weights.panel_bytes(),
                                                       weights.groups(), x.codes, here, last_mask,
                                                       add, target);
      continue;
    }
    for (std::int64_t row = 0, rows; row < x.rows; row += rows) {
      rows = NextTileRows(x.rows - row, kMostRows);
      const auto tile = count == 2 ? kTiles<2>[static_cast<std::size_t>(rows - 1)]
                                   : kTiles<1>[static_cast<std::size_t>(rows - 1)];
      tile(weights.Panel(panel), weights.panel_bytes(), weights.groups(), x.codes + row * x.stride,
           x.stride, here, last_mask, add, target + row * stride, stride);
    }
  }
}

void AddInt8OutliersAvx512(const Int8Weights& weights, Worker::Range panels,
                           std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  std::int64_t panel = panels.begin;
  for (; panel + kMostStreams <= panels.end; panel += kMostStreams) {
    AddOutliers<kMostStreams>(weights, panel, outliers, scales, y);
    y += kMostStreams * kPanelRows;
  }
  for (; panel < panels.end; ++panel, y += kPanelRows) {
    AddOutliers<1>(weights, panel, outliers, scales, y);
  }
}

}  // namespace ondine::compute
