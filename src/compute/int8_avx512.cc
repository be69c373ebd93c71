#include <immintrin.h>

#include "compute/int8_kernels.h"
#include "compute/int8_tiles.h"
#include "compute/lanes_avx512.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kPanelRows = Int8Weights::kPanelRows;
constexpr std::int64_t kVectorBytes = 64;  // a group of a panel

struct Avx512 {
  using Lanes = Avx512Lanes;
  using Weights = __m512i;
  using Codes = __m512i;
  static Weights Load(const std::int8_t* from) { return Lanes::LoadIntegers(from); }
  static Codes Spread(const std::uint8_t* from) { return Lanes::FourBytes(from); }
  static void Add(__m512i& sum, Codes codes, Weights weights) {
    AddByteProducts(sum, codes, weights);
  }
  static constexpr int kMostPanels = 2;
  static constexpr int kMostRows = 8;  // with 16 sums; of 24, GCC 12 keeps some in memory
  static constexpr int kMostStreams = 4;
};

constexpr std::int64_t kOutlierPanels = 4;  // at a time

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
  Int8Products<Avx512>::Multiply(weights, panels, x, outputs, add, y, stride);
}

void AddInt8OutliersAvx512(const Int8Weights& weights, Worker::Range panels,
                           std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  std::int64_t panel = panels.begin;
  for (; panel + kOutlierPanels <= panels.end; panel += kOutlierPanels) {
    AddOutliers<kOutlierPanels>(weights, panel, outliers, scales, y);
    y += kOutlierPanels * kPanelRows;
  }
  for (; panel < panels.end; ++panel, y += kPanelRows) {
    AddOutliers<1>(weights, panel, outliers, scales, y);
  }
}

}  // namespace ondine::compute
