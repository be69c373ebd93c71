#include <immintrin.h>

#include <algorithm>

#include "compute/int8_kernels.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kPanelRows = Int8Weights::kPanelRows;
constexpr std::int64_t kGroup = Int8Weights::kGroup;
constexpr int kMostRows = 2;  // of a tile: 4 x 2 sums, 4 weights, 2 inputs

// kRows rows of x times one panel. Two 8-bit products do not fit into the 16 bits that a dot
// product of bytes has here, so both sides are widened to 16 bits: a sum holds, for four outputs,
// the products of the first two and of the last two columns of each group.
template <int kRows>
void MultiplyTile(const std::int8_t* panel, std::int64_t groups, const std::uint8_t* codes,
                  std::int64_t code_stride, std::int32_t (*totals)[kPanelRows]) {
  __m256i sums[kRows][4] = {};
  for (std::int64_t g = 0; g < groups; ++g) {
    __m256i inputs[kRows];
    for (int r = 0; r < kRows; ++r) {
      std::int32_t four;
      __builtin_memcpy(&four, codes + r * code_stride + g * kGroup, 4);
      inputs[r] = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
    }
    for (int part = 0; part < 4; ++part) {
      const auto* at = reinterpret_cast<const __m128i*>(panel + g * kGroup * kPanelRows) + part;
      const __m256i weights = _mm256_cvtepi8_epi16(_mm_load_si128(at));
      for (int r = 0; r < kRows; ++r) {
        sums[r][part] = _mm256_add_epi32(sums[r][part], _mm256_madd_epi16(inputs[r], weights));
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int half = 0; half < 2; ++half) {
      // Pairs of neighbours, each within its 128 bits: outputs 0 1 4 5 | 2 3 6 7 of eight.
      const __m256i pairs = _mm256_hadd_epi32(sums[r][half * 2], sums[r][half * 2 + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(totals[r] + half * 8),
                          _mm256_permute4x64_epi64(pairs, 0b11011000));
    }
  }
}

}  // namespace

void MultiplyInt8Avx2(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                      const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t first = panel * kPanelRows;
    const std::int64_t count = std::min(kPanelRows, weights.out() - first);
    for (std::int64_t row = 0, rows; row < x.rows; row += rows) {
      rows = std::min<std::int64_t>(kMostRows, x.rows - row);
      const auto tile = rows == 2 ? MultiplyTile<2> : MultiplyTile<1>;
      std::int32_t totals[kMostRows][kPanelRows];
      tile(weights.Panel(panel), weights.groups(), x.codes + row * x.stride, x.stride, totals);
      for (std::int64_t r = 0; r < rows; ++r) {
        float* target = y + (row + r) * stride + first - panels.begin * kPanelRows;
        for (std::int64_t j = 0; j < count; ++j) {
          const auto sum = static_cast<float>(totals[r][j] + outputs.starts[first + j]);
          target[j] = __builtin_fmaf(sum, outputs.scales[first + j], add ? target[j] : 0.0f);
        }
      }
    }
  }
}

void AddInt8OutliersAvx2(const Int8Weights& weights, Worker::Range panels,
                         std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel, y += kPanelRows) {
    __m256 sums[2] = {};
    for (const Int8Outlier& outlier : outliers) {
      // A column is a byte of each four of its group.
      const std::int8_t* group =
          weights.Panel(panel) + outlier.column / kGroup * kGroup * kPanelRows;
      const __m128i left = _mm_cvtsi32_si128(24 - 8 * (outlier.column % static_cast<int>(kGroup)));
      for (int half = 0; half < 2; ++half) {
        const __m256i fours = _mm256_load_si256(reinterpret_cast<const __m256i*>(group) + half);
        const __m256i bytes = _mm256_srai_epi32(_mm256_sll_epi32(fours, left), 24);
        sums[half] =
            _mm256_fmadd_ps(_mm256_set1_ps(outlier.excess), _mm256_cvtepi32_ps(bytes), sums[half]);
      }
    }
    alignas(32) float totals[kPanelRows];
    for (int half = 0; half < 2; ++half) _mm256_store_ps(totals + half * 8, sums[half]);
    const std::int64_t first = panel * kPanelRows;
    const std::int64_t count = std::min(kPanelRows, weights.out() - first);
    for (std::int64_t j = 0; j < count; ++j) {
      y[j] = __builtin_fmaf(totals[j], scales[first + j], y[j]);
    }
  }
}

}  // namespace ondine::compute
