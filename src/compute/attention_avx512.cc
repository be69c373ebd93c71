// Attention of many queries with 16-bit integer dot products (AVX-512 VNNI), which multiply twice
// as fast as floats and, unlike bfloat16, keep the precision of a half-float cache:
//
//   * A query or key is scaled to length kUnit, so that any dot product fits 32 bits (Cauchy and
//     Schwarz) and a score's error is about 1.3e-5 of |q| |k|, below that of storing k as halves.
//   * A value is scaled to the largest 16-bit integer, and a block's weights (times the values'
//     scales) to sum to kUnit, so that their products fit too. The fractions of the weights are
//     dropped after adding a different threshold for each slot: the threshold's average makes many
//     weights below one unit right in sum where rounding would lose them all.
//
// Lanes are query rows, so that maxima and sums over slots need no shuffles. Integer sums are
// exact: their order does not matter.
#include "compute/attention_kernels.h"
#include "compute/kv_rows_avx512.h"

namespace ondine::compute {
namespace {

constexpr float kUnit = 32000.0f;
constexpr float kLargestValue = 32767.0f;
// Stands for "no slot seen yet". Finite, so that differences of two of them are.
constexpr float kNothing = -1e30f;
// Slots, or dimensions, of a register tile: with two vectors of rows 16 sums, which hide the
// latency of a product.
constexpr int kGroup = 8;
constexpr int kBlockPairs = kSlotBlock / 2;

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

std::int64_t Smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

// --- Panels. Keys are [slot / 8][dim / 2][slot % 8] and values [block][dim / 8][pair of slots][dim
// % 8], each element a pair of 16-bit integers: neighbouring dimensions of a key, neighbouring
// slots of a value. A register tile so reads both from front to back.

template <KvType kType>
void LoadRow(const std::byte* row, int dim, float* out) {
  for (int block = 0; block < dim / kKvBlock; ++block) {
    __m512 low, high;
    LoadKvBlock<kType>(row, dim, block, low, high);
    _mm512_store_ps(out + block * kKvBlock, low);
    _mm512_store_ps(out + block * kKvBlock + kWidth, high);
  }
}

void LoadRow(KvType type, const std::byte* row, int dim, float* out) {
  switch (type) {
    case KvType::kF16: return LoadRow<KvType::kF16>(row, dim, out);
    case KvType::kQ8_0: return LoadRow<KvType::kQ8_0>(row, dim, out);
    case KvType::kQ4_0: return LoadRow<KvType::kQ4_0>(row, dim, out);
  }
}

void RotateRow(const StoredHead& head, std::int64_t slot, float* x) {
  const int dims = head.rope_dims;
  const std::int64_t lane = slot % kSlotTile * dims, tile = slot / kSlotTile * dims;
  alignas(64) float c[kMaxHeadDim], s[kMaxHeadDim];
  for (int e = 0; e < dims; ++e) {
    c[e] = head.tile_cos[tile + e] * head.lane_cos[lane + e] -
           head.tile_sin[tile + e] * head.lane_sin[lane + e];
    s[e] = head.tile_sin[tile + e] * head.lane_cos[lane + e] +
           head.tile_cos[tile + e] * head.lane_sin[lane + e];
  }
  if (head.neighbours) {
    for (int e = 0; e < dims; e += 2) {
      const float a = x[e], b = x[e + 1];
      x[e] = a * c[e] + b * s[e];
      x[e + 1] = b * c[e + 1] + a * s[e + 1];
    }
  } else {
    const int half = dims / 2;
    for (int e = 0; e < half; ++e) {
      const float a = x[e], b = x[e + half];
      x[e] = a * c[e] + b * s[e];
      x[e + half] = b * c[e + half] + a * s[e + half];
    }
  }
}

float Length(const float* x, int dim) {
  __m512 sum = _mm512_setzero_ps();
  for (int d = 0; d < dim; d += kWidth) {
    const __m512 v = _mm512_loadu_ps(x + d);
    sum = _mm512_fmadd_ps(v, v, sum);
  }
  return __builtin_sqrtf(_mm512_reduce_add_ps(sum));
}

float LargestMagnitude(const float* x, int dim) {
  __m512 largest = _mm512_setzero_ps();
  for (int d = 0; d < dim; d += kWidth) {
    largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_load_ps(x + d)));
  }
  return _mm512_reduce_max_ps(largest);
}

void ToIntegers(const float* x, int dim, float factor, std::int16_t* out) {
  for (int d = 0; d < dim; d += kWidth) {
    const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(x + d), _mm512_set1_ps(factor));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + d),
                        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(scaled)));
  }
}

// rows[8][dim] to [dim / 2][8] pairs.
void StoreKeyGroup(const std::int16_t (*rows)[kMaxHeadDim], int dim, std::int32_t* out) {
  for (int pair = 0; pair < dim / 2; ++pair) {
    for (int slot = 0; slot < kGroup; ++slot) {
      __builtin_memcpy(out + pair * kGroup + slot, rows[slot] + 2 * pair, sizeof(std::int32_t));
    }
  }
}

// Rows a, b [dim] to [dim / 8] groups of 8 pairs, a block's pairs apart.
void StoreValuePair(const std::int16_t* a, const std::int16_t* b, int dim, std::int32_t* out) {
  for (int d = 0; d < dim; ++d) {
    out[d / kGroup * kBlockPairs * kGroup + d % kGroup] = static_cast<std::int32_t>(
        static_cast<std::uint16_t>(a[d]) | static_cast<std::uint32_t>(b[d]) << 16);
  }
}

void Pack(const StoredHead& head, std::int64_t begin, std::int64_t end, const Panel& panel) {
  const int dim = head.head_dim;
  alignas(64) std::int16_t rows[kSlotTile][kMaxHeadDim];
  alignas(64) float x[kMaxHeadDim];
  const std::int64_t at = begin - panel.begin;

  __builtin_memset(rows, 0, sizeof(rows));
  __builtin_memset(panel.key_scales + at, 0, kSlotTile * sizeof(float));
  for (std::int64_t slot = begin; slot < end; ++slot) {
    LoadRow(head.type, head.keys + slot * head.row_bytes, dim, x);
    if (head.rope_dims > 0) RotateRow(head, slot, x);
    const float length = Length(x, dim);
    ToIntegers(x, dim, length > 0 ? kUnit / length : 0, rows[slot - begin]);
    panel.key_scales[slot - panel.begin] = length / kUnit;
  }
  auto* keys = static_cast<std::int32_t*>(panel.keys) + at * (dim / 2);
  StoreKeyGroup(rows, dim, keys);
  StoreKeyGroup(rows + kGroup, dim, keys + kGroup * (dim / 2));
  if (panel.values == nullptr) return;

  __builtin_memset(rows, 0, sizeof(rows));
  __builtin_memset(panel.value_scales + at, 0, kSlotTile * sizeof(float));
  for (std::int64_t slot = begin; slot < end; ++slot) {
    LoadRow(head.type, head.values + slot * head.row_bytes, dim, x);
    const float largest = LargestMagnitude(x, dim);
    ToIntegers(x, dim, largest > 0 ? kLargestValue / largest : 0, rows[slot - begin]);
    panel.value_scales[slot - panel.begin] = largest / kLargestValue;
  }
  auto* values = static_cast<std::int32_t*>(panel.values) + at / kSlotBlock * kBlockPairs * dim +
                 at % kSlotBlock / 2 * kGroup;
  for (int pair = 0; pair < kSlotTile / 2; ++pair) {
    StoreValuePair(rows[2 * pair], rows[2 * pair + 1], dim, values + pair * kGroup);
  }
}

// --- Tiles. kVectors vectors of 16 rows are worked on; arrays have room for two.

struct Queries {
  alignas(64) std::int32_t pairs[kMaxHeadDim / 2][kTileRows];
  alignas(64) float factor[kTileRows];  // score = factor * key scale * integer product
  alignas(64) std::int32_t first[kTileRows], last[kTileRows];  // visible slots
  std::int64_t highest_first, lowest_last;                     // of all rows
};

void LoadQueries(const QueryTile& tile, int dim, Queries& queries) {
  std::int16_t row_pairs[kMaxHeadDim];
  queries.highest_first = 0;
  queries.lowest_last = tile.last[0];
  for (int row = 0; row < kTileRows; ++row) {
    queries.factor[row] = 0;
    queries.first[row] = 0;
    queries.last[row] = -1;
    __builtin_memset(row_pairs, 0, sizeof(row_pairs));
    if (row < tile.rows) {
      const float length = Length(tile.q[row], dim);
      ToIntegers(tile.q[row], dim, length > 0 ? kUnit / length : 0, row_pairs);
      queries.factor[row] = length / kUnit * tile.scale;
      queries.first[row] = static_cast<std::int32_t>(tile.first[row]);
      queries.last[row] = static_cast<std::int32_t>(tile.last[row]);
      if (queries.highest_first < tile.first[row]) queries.highest_first = tile.first[row];
      queries.lowest_last = Smaller(queries.lowest_last, tile.last[row]);
    }
    for (int pair = 0; pair < dim / 2; ++pair) {
      __builtin_memcpy(&queries.pairs[pair][row], row_pairs + 2 * pair, sizeof(std::int32_t));
    }
  }
}

// sums[i][v] = sum over `count` steps of left[step][v] * right[step][i], pairs of 16-bit integers.
// left has kTileRows a step, right kGroup.
template <int kVectors>
inline __attribute__((always_inline)) void Multiply(const std::int32_t* left,
                                                    const std::int32_t* right, int count,
                                                    __m512i (&sums)[kGroup][kVectors]) {
  for (int i = 0; i < kGroup; ++i) {
    for (int v = 0; v < kVectors; ++v) sums[i][v] = _mm512_setzero_si512();
  }
  for (int step = 0; step < count; ++step, left += kTileRows, right += kGroup) {
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
  for (int slot = 0; slot < slots; slot += kGroup, keys += kGroup * (dim / 2)) {
    __m512i sums[kGroup][kVectors];
    Multiply<kVectors>(queries.pairs[0], keys, dim / 2, sums);
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

  const __mmask16 has_mass = _mm512_cmp_ps_mask(mass, _mm512_setzero_ps(), _CMP_GT_OQ);
  const __m512 to_units = _mm512_maskz_div_ps(has_mass, _mm512_set1_ps(kUnit), mass);
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
  unit = _mm512_mul_ps(_mm512_mul_ps(mass, _mm512_set1_ps(1 / kUnit)), share);
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
    BlockScores<kVectors>(queries, static_cast<const std::int32_t*>(panel.keys) + at * (dim / 2),
                          panel.key_scales + at, dim, slots, scores);
    const bool masked = queries.highest_first > block || queries.lowest_last < block + slots - 1;
    __m512 keep[kVectors], unit[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const auto make = masked ? BlockWeights<true> : BlockWeights<false>;
      make(queries, panel.value_scales + at, block, slots, v, scores, weights, state, keep[v],
           unit[v]);
    }
    const auto* values = static_cast<const std::int32_t*>(panel.values) + at / 2 * dim;
    for (int d = 0; d < dim; d += kGroup, values += kBlockPairs * kGroup) {
      __m512i sums[kGroup][kVectors];
      Multiply<kVectors>(weights[0], values, slots / 2, sums);
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
  for (int row = 0; row < tile.rows; ++row) {
    const float inverse = 1 / state[(dim + 1) * kTileRows + row];
    for (int d = 0; d < dim; ++d) out[row][d] = state[d * kTileRows + row] * inverse;
  }
}

void Scores(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin,
            std::int64_t end, float* const* out) {
  Queries queries;
  LoadQueries(tile, dim, queries);
  alignas(64) float scores[kSlotBlock][kTileRows];
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    const std::int64_t at = block - panel.begin;
    const int count = static_cast<int>(Smaller(kSlotBlock, end - block));
    const auto make = tile.rows > kWidth ? BlockScores<2> : BlockScores<1>;
    make(queries, static_cast<const std::int32_t*>(panel.keys) + at * (dim / 2),
         panel.key_scales + at, dim, (count + kGroup - 1) / kGroup * kGroup, scores);
    for (int row = 0; row < tile.rows; ++row) {
      float* to = out[row] + (block - begin);
      for (int slot = 0; slot < count; ++slot) to[slot] = scores[slot][row] * queries.factor[row];
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
    const std::int64_t left = count - j;
    _mm512_mask_storeu_ps(
        row + j, static_cast<__mmask16>(left >= kWidth ? 0xffff : (1 << left) - 1), weight);
  }
  const float total = _mm512_reduce_add_ps(sum);
  const float inverse = total > 0 ? 1 / total : 0;
  for (std::int64_t j = 0; j < count; ++j) row[j] *= inverse;
}

}  // namespace

const AttentionKernels kAvx512Attention = {
    .panel_element_bytes = sizeof(std::int16_t),
    .pack = Pack,
    .begin = Begin,
    .add = Add,
    .finish = Finish,
    .scores = Scores,
    .normalise = Normalise,
    .few = AttendFewAvx512,
};

}  // namespace ondine::compute
