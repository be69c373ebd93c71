#include <array>

#include "compute/lanes_avx512.h"
#include "compute/packed_kernels.h"
#include "compute/packed_unpack_avx512.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
namespace {

constexpr int kMostPanels = 2;  // of a tile: 32 outputs
constexpr int kMostRows = 6;    // of a tile: 12 integer and 12 float sums fill the registers
// Unpacked weights of a pass: 2 panels x 12 blocks x 512 bytes stay in the first cache beside the
// activations that stream by.
constexpr std::int64_t kMostBlocks = 12;

struct UnpackedPanel {
  alignas(64) std::uint8_t values[kMostBlocks][kGroups][kVectorBytes];
  alignas(64) float scale[kMostBlocks * 2][kPanelRows];
  alignas(64) float minus_bias[kMostBlocks * 2][kPanelRows];  // -scale * kDotBiasValue, exact
  alignas(64) float min[kMostBlocks * 2][kPanelRows];
};

__mmask16 OutputMask(const PackedWeights& weights, std::int64_t panel) {
  return FirstLanes(weights.out() - panel * kPanelRows);
}

// kRows rows of x, from row `row` and block `block` on, times kPanels unpacked panels.
template <int kPanels, int kRows, int kParts, bool kMin>
void MultiplyTile(const UnpackedPanel* panels, std::int64_t blocks, const PackedInput& x,
                  std::int64_t row, std::int64_t first_block, bool add, __mmask16 last_mask,
                  float* y, std::int64_t stride) {
  constexpr int kPartGroups = static_cast<int>(kGroups) / kParts;
  const std::int64_t quant_stride = x.blocks * PackedFormat::kBlock;
  const std::int64_t at = row * x.blocks + first_block;
  const std::int8_t* quants = x.quants + at * PackedFormat::kBlock;
  const float* scales = x.scales + at;
  const std::int32_t* starts = x.starts + at * kParts;
  const float* scaled_sums = x.scaled_sums + at * kParts;
  const auto mask = [last_mask](int p) {
    return p == kPanels - 1 ? last_mask : static_cast<__mmask16>(0xffff);
  };

  __m512 sums[kRows][kPanels];
  Unroll<kRows>([&](auto r) {
    Unroll<kPanels>([&](auto p) {
      sums[r][p] = add ? _mm512_maskz_loadu_ps(mask(p), y + r * stride + p * kPanelRows)
                       : _mm512_setzero_ps();
    });
  });
  for (std::int64_t block = 0; block < blocks; ++block) {
    Unroll<kParts>([&](auto part) {
      const std::int64_t scale_at = block * kParts + part;
      __m512i dots[kRows][kPanels];
      Unroll<kRows>([&](auto r) {
        Unroll<kPanels>([&](auto p) {
          dots[r][p] =
              _mm512_set1_epi32(kMin ? kDotBias : starts[r * x.blocks * kParts + scale_at]);
        });
      });
      Unroll<kPartGroups>([&](auto g) {
        constexpr int kGroup = part * kPartGroups + g;
        __m512i weights[kPanels];
        Unroll<kPanels>(
            [&](auto p) { weights[p] = _mm512_load_si512(panels[p].values[block][kGroup]); });
        Unroll<kRows>([&](auto r) {
          const __m512i input =
              FourBytes(quants + r * quant_stride + block * PackedFormat::kBlock + kGroup * 4);
          Unroll<kPanels>(
              [&](auto p) { dots[r][p] = _mm512_dpbusd_epi32(dots[r][p], weights[p], input); });
        });
      });
      Unroll<kRows>([&](auto r) {
        const __m512 scale = _mm512_set1_ps(scales[r * x.blocks + block]);
        Unroll<kPanels>([&](auto p) {
          const __m512 product = _mm512_fmadd_ps(_mm512_castsi512_ps(dots[r][p]),
                                                 _mm512_load_ps(panels[p].scale[scale_at]),
                                                 _mm512_load_ps(panels[p].minus_bias[scale_at]));
          sums[r][p] = _mm512_fmadd_ps(product, scale, sums[r][p]);
          if constexpr (kMin) {
            const __m512 scaled_sum = _mm512_set1_ps(scaled_sums[r * x.blocks * kParts + scale_at]);
            sums[r][p] =
                _mm512_fmadd_ps(_mm512_load_ps(panels[p].min[scale_at]), scaled_sum, sums[r][p]);
          }
        });
      });
    });
  }
  Unroll<kRows>([&](auto r) {
    Unroll<kPanels>([&](auto p) {
      _mm512_mask_storeu_ps(y + r * stride + p * kPanelRows, mask(p), sums[r][p]);
    });
  });
}

template <CodeKind kCodes, ScaleKind kScales>
void Unpack(const PackedWeights& weights, std::int64_t panel, std::int64_t first_block,
            std::int64_t blocks, UnpackedPanel& out) {
  constexpr int kParts = ScalesPerBlock(kScales);
  const __m512i table = LoadTable(weights.format());
  const std::uint8_t* codes =
      weights.Codes(panel) + first_block * CodeVectors(kCodes) * kVectorBytes;
  const std::uint8_t* scales = weights.Scales(panel);
  for (std::int64_t block = 0; block < blocks; ++block) {
    Unroll<kGroups>(
        [&](auto g) { _mm512_store_si512(out.values[block][g], Values<kCodes, g>(codes, table)); });
    codes += CodeVectors(kCodes) * kVectorBytes;
    const VectorScales<kScales> vectors = LoadScales<kScales>(scales, first_block + block);
    Unroll<kParts>([&](auto part) {
      const std::int64_t at = block * kParts + part;
      _mm512_store_ps(out.scale[at], vectors.scale[part]);
      _mm512_store_ps(out.minus_bias[at],
                      _mm512_mul_ps(vectors.scale[part], _mm512_set1_ps(-kDotBiasValue)));
      if constexpr (HasMin(kScales)) _mm512_store_ps(out.min[at], vectors.min[part]);
    });
  }
}

template <int kPanels, int kParts, bool kMin>
constexpr auto kTiles = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
  return std::array{&MultiplyTile<kPanels, kIndex + 1, kParts, kMin>...};
}
(std::make_integer_sequence<int, kMostRows>());

// Many rows: each pair of panels is unpacked once, then passes over all rows.
template <CodeKind kCodes, ScaleKind kScales>
void MultiplyRows(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                  bool add, float* y, std::int64_t stride) {
  constexpr int kParts = ScalesPerBlock(kScales);
  constexpr bool kMin = HasMin(kScales);
  UnpackedPanel unpacked[kMostPanels];
  const std::int64_t passes = (x.blocks + kMostBlocks - 1) / kMostBlocks;
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += kMostPanels) {
    const bool pair = panel + 1 < panels.end;
    const __mmask16 last_mask = OutputMask(weights, panel + pair);
    for (std::int64_t pass = 0; pass < passes; ++pass) {
      const std::int64_t first_block = x.blocks * pass / passes;
      const std::int64_t blocks = x.blocks * (pass + 1) / passes - first_block;
      for (int p = 0; p <= pair; ++p) {
        Unpack<kCodes, kScales>(weights, panel + p, first_block, blocks, unpacked[p]);
      }
      for (std::int64_t row = 0, rows; row < x.rows; row += rows) {
        rows = NextTileRows(x.rows - row, kMostRows);
        const auto tile =
            pair ? kTiles<2, kParts, kMin>[rows - 1] : kTiles<1, kParts, kMin>[rows - 1];
        tile(unpacked, blocks, x, row, first_block, add || pass > 0, last_mask,
             y + row * stride + (panel - panels.begin) * kPanelRows, stride);
      }
    }
  }
}

// At most kRows rows: weights go from memory to registers and are used once for each row. Several
// panels are read side by side, which keeps more of the memory's prefetchers busy: four streams
// bring 4-bit weights at 28 GB/s to one core, where one stream brings 18.
template <CodeKind kCodes, ScaleKind kScales, int kRows>
void MultiplyFewRows(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                     bool add, float* y, std::int64_t stride) {
  constexpr int kParts = ScalesPerBlock(kScales);
  constexpr int kPartGroups = static_cast<int>(kGroups) / kParts;
  constexpr std::int64_t kStreams = 4;
  const __m512i table = LoadTable(weights.format());
  // Missing rows repeat the last one.
  std::int64_t row_blocks[kRows];
  for (int r = 0; r < kRows; ++r) row_blocks[r] = (r < x.rows ? r : x.rows - 1) * x.blocks;

  for (std::int64_t panel = panels.begin; panel < panels.end; panel += kStreams) {
    const std::int64_t streams = panels.end - panel < kStreams ? panels.end - panel : kStreams;
    float* target = y + (panel - panels.begin) * kPanelRows;
    __m512 sums[kStreams][kRows];
    for (std::int64_t s = 0; s < streams; ++s) {
      const __mmask16 mask = OutputMask(weights, panel + s);
      for (int r = 0; r < kRows; ++r) {
        sums[s][r] = add && r < x.rows
                         ? _mm512_maskz_loadu_ps(mask, target + r * stride + s * kPanelRows)
                         : _mm512_setzero_ps();
      }
    }
    for (std::int64_t block = 0; block < x.blocks; ++block) {
      for (std::int64_t s = 0; s < streams; ++s) {
        const std::uint8_t* codes =
            weights.Codes(panel + s) + block * CodeVectors(kCodes) * kVectorBytes;
        const auto scales = LoadScales<kScales>(weights.Scales(panel + s), block);
        Unroll<kParts>([&](auto part) {
          __m512i dots[kRows];
          Unroll<kRows>([&](auto r) {
            const std::int64_t at = (row_blocks[r] + block) * kParts + part;
            dots[r] = _mm512_set1_epi32(HasMin(kScales) ? 0 : x.starts[at] - kDotBias);
          });
          Unroll<kPartGroups>([&](auto g) {
            constexpr int kGroup = part * kPartGroups + g;
            const __m512i values = Values<kCodes, kGroup>(codes, table);
            Unroll<kRows>([&](auto r) {
              const std::int64_t at = (row_blocks[r] + block) * PackedFormat::kBlock + kGroup * 4;
              dots[r] = _mm512_dpbusd_epi32(dots[r], values, FourBytes(x.quants + at));
            });
          });
          Unroll<kRows>([&](auto r) {
            const std::int64_t at = row_blocks[r] + block;
            const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[r]), scales.scale[part]);
            __m512 sum = _mm512_fmadd_ps(product, _mm512_set1_ps(x.scales[at]), sums[s][r]);
            if constexpr (HasMin(kScales)) {
              const __m512 scaled_sum = _mm512_set1_ps(x.scaled_sums[at * kParts + part]);
              sum = _mm512_fmadd_ps(scales.min[part], scaled_sum, sum);
            }
            sums[s][r] = sum;
          });
        });
      }
    }
    for (std::int64_t s = 0; s < streams; ++s) {
      const __mmask16 mask = OutputMask(weights, panel + s);
      for (int r = 0; r < x.rows; ++r) {
        _mm512_mask_storeu_ps(target + r * stride + s * kPanelRows, mask, sums[s][r]);
      }
    }
  }
}

template <CodeKind kCodes, ScaleKind kScales>
void Multiply(const PackedWeights& weights, Worker::Range panels, const PackedInput& x, bool add,
              float* y, std::int64_t stride) {
  if (x.rows == 1) {
    MultiplyFewRows<kCodes, kScales, 1>(weights, panels, x, add, y, stride);
  } else if (x.rows <= 4) {
    MultiplyFewRows<kCodes, kScales, 4>(weights, panels, x, add, y, stride);
  } else {
    MultiplyRows<kCodes, kScales>(weights, panels, x, add, y, stride);
  }
}

// The combinations that FindPackedFormat knows.
PackedKernel FindKernel(const PackedFormat& format) {
  using C = CodeKind;
  using S = ScaleKind;
  const bool super = IsSuper(format.scales), min = HasMin(format.scales);
  switch (format.codes) {
    case C::k2: return min ? Multiply<C::k2, S::kSuperPairMin> : Multiply<C::k2, S::kSuper>;
    case C::k3: return Multiply<C::k3, S::kSuperPair>;
    case C::k4:
      if (super) return Multiply<C::k4, S::kSuperMin>;
      return min ? Multiply<C::k4, S::kHalfMin> : Multiply<C::k4, S::kHalf>;
    case C::k4Table:
      if (format.scales == S::kSuper) return Multiply<C::k4Table, S::kSuper>;
      if (super) return Multiply<C::k4Table, S::kSuperPair>;
      if (format.scales == S::kBFloat16) return Multiply<C::k4Table, S::kBFloat16>;
      return format.scales == S::kHalfPair ? Multiply<C::k4Table, S::kHalfPair>
                                           : Multiply<C::k4Table, S::kHalf>;
    case C::k5:
      if (super) return Multiply<C::k5, S::kSuperMin>;
      return min ? Multiply<C::k5, S::kHalfMin> : Multiply<C::k5, S::kHalf>;
    case C::k6: return Multiply<C::k6, S::kSuperPair>;
    case C::k8: return Multiply<C::k8, S::kHalf>;
  }
  return nullptr;
}

}  // namespace

void MultiplyPackedAvx512(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                          bool add, float* y, std::int64_t stride) {
  FindKernel(weights.format())(weights, panels, x, add, y, stride);
}

}  // namespace ondine::compute
