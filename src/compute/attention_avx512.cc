// Attention of many queries with 16-bit integer dot products (AVX-512 VNNI), which multiply twice
// as fast as floats and, unlike bfloat16, keep the precision of a half-float cache:
//
//   * A query or key is scaled so that its length squared stays below 2^31: any dot product of two
//     then fits 32 bits (Cauchy and Schwarz), and a score's error is about 9e-6 of |q| |k|, less
//     than what storing k as halves costs.
//   * A value is scaled to the largest 16-bit integer and a block's weights, times the values'
//     scales, to sum to that, so that their products fit too. Weights are cut to whole units after
//     adding a different threshold for each slot: so many weights of a fraction of a unit come out
//     right in sum, where rounding would lose them all.
//
// Lanes are query rows, so that maxima and sums over slots need no shuffles. Integer sums are
// exact: their order does not matter.
#include "compute/attention_integers_avx512.h"

namespace ondine::compute {
namespace {

constexpr float kMaxMass = 32700.0f;  // of a block's weights; thresholds may add one unit
// Stands for "no slot seen yet". Finite, so that differences of two of them are.
constexpr float kNothing = -1e30f;
// Bit-reversed counting: thresholds in (0, 1) such that any run of slots gets evenly spread ones.
struct Thresholds {
  float of[kSlotBlock];
};
constexpr Thresholds MakeThresholds() {
  Thresholds thresholds{};
  for (int slot = 0; slot < kSlotBlock; ++slot) {
    int reversed = 0;
    for (int bit = 1; bit < kSlotBlock; bit *= 2) reversed = 2 * reversed + (slot / bit) % 2;
    thresholds.of[slot] = (static_cast<float>(reversed) + 0.5f) / kSlotBlock;
  }
  return thresholds;
}
constexpr Thresholds kThresholds = MakeThresholds();

// Of a vector that has `count` elements left, at most all.
__mmask16 FirstLanes(std::int64_t count) {
  return static_cast<__mmask16>(count >= kWidth ? 0xffff : (1 << count) - 1);
}

std::int64_t Smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

// kVectors vectors of 16 rows are worked on; arrays have room for two.

struct Queries {
  alignas(64) std::int32_t pairs[kMaxHeadDim / 2][kTileRows];
  alignas(64) float factor[kTileRows];  // score = factor * key scale * integer product
  alignas(64) std::int32_t first[kTileRows], last[kTileRows];  // visible slots
  std::int64_t highest_first, lowest_last;                     // of all rows
};

void LoadQueries(const QueryTile& tile, int dim, Queries& queries) {
  queries.highest_first = tile.first[tile.rows - 1];
  queries.lowest_last = tile.last[0];
  for (int row = 0; row < kTileRows; ++row) {
    // Rows that do not exist see nothing.
    queries.first[row] = static_cast<std::int32_t>(tile.first[row]);
    queries.last[row] = row < tile.rows ? static_cast<std::int32_t>(tile.last[row]) : -1;
  }
  for (int row = 0; row < tile.rows; row += kWidth) {
    IntegerRows integers;
    ToIntegers(tile.q + row, dim, IntegerRange::kDirection, integers);
    for (int i = 0; i < kWidth; ++i) queries.factor[row + i] = integers.units[i] * tile.scale;
    for (int d = 0; d < dim; d += 2 * kWidth) {
      Transpose(integers.values[0] + d, kMaxHeadDim / 2, &queries.pairs[d / 2][row], kTileRows);
    }
  }
}

// sums[i][v] = sum over `count` steps of left[step][v] * right[step][i], pairs of 16-bit integers.
// A step is kTileRows on the left and kRightStep on the right.
template <int kVectors, int kRightStep>
inline __attribute__((always_inline)) void Multiply(const std::int32_t* left,
                                                    const std::int32_t* right, int count,
                                                    __m512i (&sums)[kGroup][kVectors]) {
  for (int i = 0; i < kGroup; ++i) {
    for (int v = 0; v < kVectors; ++v) sums[i][v] = _mm512_setzero_si512();
  }
  for (int step = 0; step < count; ++step, left += kTileRows, right += kRightStep) {
    __m512i rows[kVectors];
    for (int v = 0; v < kVectors; ++v) rows[v] = _mm512_load_si512(left + v * kWidth);
#pragma GCC unroll 8
    for (int i = 0; i < kGroup; ++i) {
      const __m512i both = _mm512_set1_epi32(right[i]);
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = _mm512_dpwssd_epi32(sums[i][v], rows[v], both);
      }
    }
  }
}

// Scores of `slots` slots (a multiple of 8), still without the rows' factors.
template <int kVectors>
void BlockScores(const Queries& queries, const std::int32_t* keys, const float* key_scales, int dim,
                 int slots, float (*scores)[kTileRows]) {
  for (int slot = 0; slot < slots; slot += kGroup) {
    const std::int32_t* group = keys + slot / kSlotTile * kSlotTile * (dim / 2) + slot % kSlotTile;
    __m512i sums[kGroup][kVectors];
    Multiply<kVectors, kSlotTile>(queries.pairs[0], group, dim / 2, sums);
#pragma GCC unroll 8
    for (int i = 0; i < kGroup; ++i) {
      const __m512 scale = _mm512_set1_ps(key_scales[slot + i]);
      for (int v = 0; v < kVectors; ++v) {
        _mm512_store_ps(scores[slot + i] + v * kWidth,
                        _mm512_mul_ps(_mm512_cvtepi32_ps(sums[i][v]), scale));
      }
    }
  }
}

// Running result: sums [dim][kTileRows], maxima (log2) and totals [kTileRows].
struct State {
  float* sums;
  float* maxima;
  float* totals;
};

State StateOf(float* state, int dim) {
  return {state, state + dim * kTileRows, state + (dim + 1) * kTileRows};
}

// Turns a block's scores into integer weights, pairs of slots together, for the rows of vector `v`.
// Updates maxima and totals; sets what older sums and the block's integer sums are to be multiplied
// by.
template <bool kMasked>
void BlockWeights(const Queries& queries, const float* value_scales, std::int64_t block, int slots,
                  int v, float (*scores)[kTileRows], std::int32_t (*weights)[kTileRows],
                  const State& state, __m512& keep, __m512& unit) {
  const int lane = v * kWidth;
  const __m512 factor = _mm512_load_ps(queries.factor + lane);
  const __m512i first = _mm512_load_si512(queries.first + lane);
  const __m512i last = _mm512_load_si512(queries.last + lane);
  const auto visible = [&](int slot) {
    const __m512i at = _mm512_set1_epi32(static_cast<std::int32_t>(block) + slot);
    return static_cast<__mmask16>(_mm512_cmple_epi32_mask(first, at) &
                                  _mm512_cmpge_epi32_mask(last, at));
  };

  __m512 largest = _mm512_set1_ps(kNothing);
  for (int slot = 0; slot < slots; ++slot) {
    const __m512 score = _mm512_load_ps(scores[slot] + lane);
    if constexpr (kMasked) {
      largest = _mm512_mask_max_ps(largest, visible(slot), largest, score);
    } else {
      largest = _mm512_max_ps(largest, score);
    }
  }
  const __mmask16 any = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(kNothing), _CMP_GT_OQ);
  largest = _mm512_mask_mul_ps(largest, any, largest, factor);

  __m512 total = _mm512_setzero_ps(), mass = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (int slot = 0; slot < slots; ++slot) {
    const __m512 score = _mm512_load_ps(scores[slot] + lane);
    __m512 weight = Exp2(_mm512_fmsub_ps(score, factor, largest));
    if constexpr (kMasked) weight = _mm512_maskz_mov_ps(visible(slot), weight);
    total = _mm512_add_ps(total, weight);
    const __m512 scaled = _mm512_mul_ps(weight, _mm512_set1_ps(value_scales[slot]));
    mass = _mm512_add_ps(mass, scaled);
    _mm512_store_ps(scores[slot] + lane, scaled);
  }

  // Less than this beside a weight of 1 is nothing, and its reciprocal might overflow.
  const __mmask16 has_mass = _mm512_cmp_ps_mask(mass, _mm512_set1_ps(1e-30f), _CMP_GT_OQ);
  const __m512 to_units = _mm512_maskz_div_ps(has_mass, _mm512_set1_ps(kMaxMass), mass);
#pragma GCC unroll 2
  for (int slot = 0; slot < slots; slot += 2) {
    __m512i units[2];
    for (int i = 0; i < 2; ++i) {
      units[i] =
          _mm512_cvttps_epi32(_mm512_fmadd_ps(_mm512_load_ps(scores[slot + i] + lane), to_units,
                                              _mm512_set1_ps(kThresholds.of[slot + i])));
    }
    _mm512_store_si512(weights[slot / 2] + lane,
                       _mm512_or_si512(units[0], _mm512_slli_epi32(units[1], 16)));
  }

  const __m512 before = _mm512_load_ps(state.maxima + lane);
  const __m512 now = _mm512_max_ps(before, largest);
  const __m512 share = Exp2(_mm512_sub_ps(largest, now));
  keep = Exp2(_mm512_sub_ps(before, now));
  unit = _mm512_mul_ps(_mm512_mul_ps(mass, _mm512_set1_ps(1 / kMaxMass)), share);
  _mm512_store_ps(state.maxima + lane, now);
  const __m512 totals = _mm512_load_ps(state.totals + lane);
  _mm512_store_ps(state.totals + lane, _mm512_fmadd_ps(total, share, _mm512_mul_ps(totals, keep)));
}

template <int kVectors>
void AddBlocks(const Queries& queries, const Panel& panel, int dim, std::int64_t begin,
               std::int64_t end, const State& state) {
  alignas(64) float scores[kSlotBlock][kTileRows];
  alignas(64) std::int32_t weights[kBlockPairs][kTileRows];
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    const std::int64_t at = block - panel.begin;
    const std::int64_t stop = Smaller(block + kSlotBlock, end);
    const int slots = static_cast<int>((stop - block + kGroup - 1) / kGroup * kGroup);
    BlockScores<kVectors>(queries, KeyPairs(panel, dim, block), panel.key_scales + at, dim, slots,
                          scores);
    const bool masked = queries.highest_first > block || queries.lowest_last < block + slots - 1;
    __m512 keep[kVectors], unit[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const auto make = masked ? BlockWeights<true> : BlockWeights<false>;
      make(queries, panel.value_scales + at, block, slots, v, scores, weights, state, keep[v],
           unit[v]);
    }
    const std::int32_t* values = ValuePairs(panel, dim, block);
    for (int d = 0; d < dim; d += kGroup, values += kBlockPairs * kGroup) {
      __m512i sums[kGroup][kVectors];
      Multiply<kVectors, kGroup>(weights[0], values, slots / 2, sums);
#pragma GCC unroll 8
      for (int i = 0; i < kGroup; ++i) {
        for (int v = 0; v < kVectors; ++v) {
          float* to = state.sums + (d + i) * kTileRows + v * kWidth;
          const __m512 kept = _mm512_mul_ps(_mm512_load_ps(to), keep[v]);
          _mm512_store_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i][v]), unit[v], kept));
        }
      }
    }
  }
}

void Begin(int dim, float* state) {
  const State of = StateOf(state, dim);
  __builtin_memset(state, 0, (dim + 2) * kTileRows * sizeof(float));
  for (int row = 0; row < kTileRows; ++row) of.maxima[row] = kNothing;
}

void Add(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin, std::int64_t end,
         float* state) {
  Queries queries;
  LoadQueries(tile, dim, queries);
  const auto add = tile.rows > kWidth ? AddBlocks<2> : AddBlocks<1>;
  add(queries, panel, dim, begin, end, StateOf(state, dim));
}

void Finish(const QueryTile& tile, int dim, const float* state, float* const* out) {
  alignas(64) float rows[kWidth][kWidth];
  for (int row = 0; row < tile.rows; row += kWidth) {
    const __m512 totals = _mm512_load_ps(state + (dim + 1) * kTileRows + row);
    for (int d = 0; d < dim; d += kWidth) {
      for (int i = 0; i < kWidth; ++i) {
        const __m512 sums = _mm512_load_ps(state + (d + i) * kTileRows + row);
        _mm512_store_ps(rows[i], _mm512_div_ps(sums, totals));
      }
      Transpose(rows, kWidth, rows, kWidth);
      for (int i = 0; i < kWidth && row + i < tile.rows; ++i) {
        _mm512_storeu_ps(out[row + i] + d, _mm512_load_ps(rows[i]));
      }
    }
  }
}

void Scores(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin,
            std::int64_t end, float* const* out) {
  Queries queries;
  LoadQueries(tile, dim, queries);
  alignas(64) float scores[kSlotBlock][kTileRows];
  alignas(64) float rows[kWidth][kWidth];
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    const int count = static_cast<int>(Smaller(kSlotBlock, end - block));
    const auto make = tile.rows > kWidth ? BlockScores<2> : BlockScores<1>;
    make(queries, KeyPairs(panel, dim, block), panel.key_scales + (block - panel.begin), dim,
         (count + kGroup - 1) / kGroup * kGroup, scores);
    for (int row = 0; row < tile.rows; row += kWidth) {
      for (int slot = 0; slot < count; slot += kWidth) {
        Transpose(scores[slot] + row, kTileRows, rows, kWidth);
        const __mmask16 wanted = FirstLanes(count - slot);
        for (int i = 0; i < kWidth && row + i < tile.rows; ++i) {
          const __m512 factor = _mm512_set1_ps(queries.factor[row + i]);
          _mm512_mask_storeu_ps(out[row + i] + (block - begin) + slot, wanted,
                                _mm512_mul_ps(_mm512_load_ps(rows[i]), factor));
        }
      }
    }
  }
}

void Normalise(float* row, std::int64_t first, std::int64_t last, std::int64_t count) {
  const auto mask = [&](std::int64_t j) {
    const __m512i at =
        _mm512_add_epi32(_mm512_set1_epi32(static_cast<std::int32_t>(j)),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    return static_cast<__mmask16>(
        _mm512_cmpge_epi32_mask(at, _mm512_set1_epi32(static_cast<std::int32_t>(first))) &
        _mm512_cmple_epi32_mask(at, _mm512_set1_epi32(static_cast<std::int32_t>(last))));
  };
  __m512 largest = _mm512_set1_ps(kNothing);
  for (std::int64_t j = 0; j < count; j += kWidth) {
    largest = _mm512_max_ps(largest, _mm512_mask_loadu_ps(largest, mask(j), row + j));
  }
  const __m512 maximum = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < count; j += kWidth) {
    const __m512 score = _mm512_maskz_loadu_ps(mask(j), row + j);
    const __m512 weight = _mm512_maskz_mov_ps(mask(j), Exp2(_mm512_sub_ps(score, maximum)));
    sum = _mm512_add_ps(sum, weight);
    _mm512_mask_storeu_ps(row + j, FirstLanes(count - j), weight);
  }
  const float total = _mm512_reduce_add_ps(sum);
  const float inverse = total > 0 ? 1 / total : 0;
  for (std::int64_t j = 0; j < count; ++j) row[j] *= inverse;
}

}  // namespace

const AttentionKernels kAvx512Attention = {
    .panel_element_bytes = sizeof(std::int16_t),
    .pack = PackAttentionAvx512,
    .begin = Begin,
    .add = Add,
    .finish = Finish,
    .scores = Scores,
    .normalise = Normalise,
    .few = AttendFewAvx512,
};

}  // namespace ondine::compute
