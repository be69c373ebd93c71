// Attention of many queries with integer dot products of 16 bits (AVX-512 VNNI), which multiply
// twice as fast as floats and, unlike bfloat16, keep the precision of a half-float cache:
//
//   * A query or key is scaled so that its length squared stays below 2^31: any dot product of two
//     then fits 32 bits (Cauchy and Schwarz), and a score's error is about 9e-6 of |q| |k|, less
//     than what storing k as halves costs.
//   * A value is scaled to the largest 16-bit integer and a block's weights, times the values'
//     scales, to sum to that, so that their products fit too. Weights are cut to whole units after
//     adding a different threshold for each slot: so many weights of a fraction of a unit come out
//     right in sum, where rounding would lose them all.
//
// Or with 8-bit integers, which multiply twice as fast again, for models whose activations have no
// more than 8 bits either:
//
//   * What all keys have in common is taken off them. Queries and keys pass through a Hadamard
//     transform, which leaves their dot products as they are and spreads outliers; each is then
//     scaled to the largest 8-bit integer. A score's error is about 0.009 of |q| |k| / sqrt(dim).
//   * A value is scaled to the largest 8-bit integer, and of a block's weights, times the values'
//     scales, the largest is; they are cut like those of 16 bits.
//
// Lanes are query rows, so that maxima and sums over slots need no shuffles. Integer sums are
// exact: their order does not matter.
#include "compute/attention_integers_avx512.h"
#include "compute/attention_state.h"
#include "compute/lanes_avx512.h"

namespace ondine::compute {
namespace {

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

// kVectors vectors of 16 rows are worked on; arrays have room for two.

struct Queries {
  alignas(64) std::int32_t words[kMaxHeadDim / 2][kTileRows];
  alignas(64) std::int32_t start[kTileRows];  // of a row's integer products
  alignas(64) float factor[kTileRows];        // score = factor * key scale * integer product
  alignas(64) std::int32_t first[kTileRows], last[kTileRows];  // visible slots
  std::int64_t highest_first, lowest_last;                     // of all rows
};

// What differs between the two sizes of integers. kPerWord is how many a word of 32 bits holds.

struct Pairs {
  static constexpr int kPerWord = 2;
  // Of a block's weights together; thresholds may add one unit.
  static constexpr float kMaxUnits = 32700.0f;
  static __m512 Norm(__m512 sum, __m512 /*largest*/) { return sum; }

  static void AddScores(__m512i& sums, __m512i queries, __m512i key) {
    AddPairProducts(sums, queries, key);
  }
  static void AddValues(__m512i& sums, __m512i weights, __m512i value) {
    AddPairProducts(sums, weights, value);
  }

  // 16 rows, of which those of null are zeros.
  static void Load(const float* const* rows, float scale, int dim, int lane, Queries& out) {
    IntegerRows integers;
    ToIntegers(rows, dim, IntegerRange::kDirection, integers);
    for (int i = 0; i < kWidth; ++i) {
      out.factor[lane + i] = integers.units[i] * scale;
      out.start[lane + i] = 0;
    }
    for (int d = 0; d < dim; d += 2 * kWidth) {
      Transpose(integers.values[0] + d, kMaxHeadDim / 2, &out.words[d / 2][lane], kTileRows);
    }
  }
};

struct Bytes {
  static constexpr int kPerWord = 4;
  // Of the largest of a block's weights; thresholds may add one unit, and 255 is a byte.
  static constexpr float kMaxUnits = 254.0f;
  static __m512 Norm(__m512 /*sum*/, __m512 largest) { return largest; }

  // A product of bytes has one factor without a sign: keys that are shifted by 128, and weights.
  static void AddScores(__m512i& sums, __m512i queries, __m512i key) {
    AddByteProducts(sums, key, queries);
  }
  static void AddValues(__m512i& sums, __m512i weights, __m512i value) {
    AddByteProducts(sums, weights, value);
  }

  static void Load(const float* const* rows, float scale, int dim, int lane, Queries& out) {
    alignas(64) float turned[kWidth][kMaxHeadDim];
    const float* turned_rows[kWidth] = {};
    for (int i = 0; i < kWidth && rows[i] != nullptr; ++i) {
      __builtin_memcpy(turned[i], rows[i], dim * sizeof(float));
      Hadamard(dim, turned[i]);
      turned_rows[i] = turned[i];
    }
    IntegerRows integers;
    ToIntegers(turned_rows, dim, IntegerRange::kByte, integers);
    const float unscale = scale / static_cast<float>(HadamardSize(dim));
    for (int i = 0; i < kWidth; ++i) {
      out.factor[lane + i] = integers.units[i] * unscale;
      std::int32_t sum = 0;
      for (int d = 0; d < dim; ++d) sum += integers.values[i][d];
      out.start[lane + i] = -128 * sum;
    }
    ByteRows bytes;
    ToBytes(integers, dim, bytes);
    for (int d = 0; d < dim; d += 4 * kWidth) {
      Transpose(bytes.values[0] + d, kMaxHeadDim / 4, &out.words[d / 4][lane], kTileRows);
    }
  }
};

template <typename Form>
void LoadQueries(const QueryTile& tile, int dim, Queries& queries) {
  queries.highest_first = tile.first[tile.rows - 1];
  queries.lowest_last = tile.last[0];
  for (int row = 0; row < kTileRows; ++row) {
    // Rows that do not exist see nothing.
    queries.first[row] = static_cast<std::int32_t>(tile.first[row]);
    queries.last[row] = row < tile.rows ? static_cast<std::int32_t>(tile.last[row]) : -1;
  }
  for (int row = 0; row < tile.rows; row += kWidth) {
    Form::Load(tile.q + row, tile.scale, dim, row, queries);
  }
}

// sums[i][v] += sum over `count` > 0 steps of left[step][v] * right[step][i], words of integers
// that `add` multiplies. A step is kTileRows on the left and kRightStep on the right.
template <int kVectors, int kRightStep, typename Add>
inline __attribute__((always_inline)) void Multiply(const std::int32_t* left,
                                                    const std::int32_t* right, int count, Add add,
                                                    __m512i (&sums)[kGroup][kVectors]) {
  // A loop that runs at least once: where it may not, GCC 12 keeps a second copy of the sums.
  int step = 0;
  do {
    __m512i rows[kVectors];
    for (int v = 0; v < kVectors; ++v) rows[v] = _mm512_load_si512(left + v * kWidth);
#pragma GCC unroll 8
    for (int i = 0; i < kGroup; ++i) {
      const __m512i all = _mm512_set1_epi32(right[i]);
      for (int v = 0; v < kVectors; ++v) add(sums[i][v], rows[v], all);
    }
    left += kTileRows;
    right += kRightStep;
  } while (++step < count);
}

// Scores of `slots` slots (a multiple of 8), still without the rows' factors.
template <typename Form, int kVectors>
void BlockScores(const Queries& queries, const std::int32_t* keys, const float* key_scales, int dim,
                 int slots, float (*scores)[kTileRows]) {
  const int words = dim / Form::kPerWord;
  for (int slot = 0; slot < slots; slot += kGroup) {
    const std::int32_t* group = keys + slot / kSlotTile * kSlotTile * words + slot % kSlotTile;
    __m512i sums[kGroup][kVectors];
    for (int i = 0; i < kGroup; ++i) {
      for (int v = 0; v < kVectors; ++v) {
        sums[i][v] = _mm512_load_si512(queries.start + v * kWidth);
      }
    }
    Multiply<kVectors, kSlotTile>(queries.words[0], group, words, Form::AddScores, sums);
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

// Turns a block's scores into integer weights, words of neighbouring slots together, for the rows
// of vector `v`. Updates maxima and totals; sets what older sums and the block's integer sums are
// to be multiplied by.
template <typename Form, bool kMasked>
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

  __m512 total = _mm512_setzero_ps(), sum = total, most = total;
#pragma GCC unroll 4
  for (int slot = 0; slot < slots; ++slot) {
    const __m512 score = _mm512_load_ps(scores[slot] + lane);
    __m512 weight = Exp2(_mm512_fmsub_ps(score, factor, largest));
    if constexpr (kMasked) weight = _mm512_maskz_mov_ps(visible(slot), weight);
    total = _mm512_add_ps(total, weight);
    const __m512 scaled = _mm512_mul_ps(weight, _mm512_set1_ps(value_scales[slot]));
    sum = _mm512_add_ps(sum, scaled);
    most = _mm512_max_ps(most, scaled);
    _mm512_store_ps(scores[slot] + lane, scaled);
  }

  // Less than this beside a weight of 1 is nothing, and its reciprocal might overflow.
  const __m512 norm = Form::Norm(sum, most);
  const __mmask16 has_mass = _mm512_cmp_ps_mask(norm, _mm512_set1_ps(1e-30f), _CMP_GT_OQ);
  const __m512 to_units = _mm512_maskz_div_ps(has_mass, _mm512_set1_ps(Form::kMaxUnits), norm);
#pragma GCC unroll 2
  for (int slot = 0; slot < slots; slot += Form::kPerWord) {
    __m512i word = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int i = 0; i < Form::kPerWord; ++i) {
      const __m512i units =
          _mm512_cvttps_epi32(_mm512_fmadd_ps(_mm512_load_ps(scores[slot + i] + lane), to_units,
                                              _mm512_set1_ps(kThresholds.of[slot + i])));
      word = _mm512_or_si512(word, _mm512_slli_epi32(units, i * 32 / Form::kPerWord));
    }
    _mm512_store_si512(weights[slot / Form::kPerWord] + lane, word);
  }

  const __m512 before = _mm512_load_ps(state.maxima + lane);
  const __m512 now = _mm512_max_ps(before, largest);
  const __m512 share = Exp2(_mm512_sub_ps(largest, now));
  keep = Exp2(_mm512_sub_ps(before, now));
  unit = _mm512_mul_ps(_mm512_mul_ps(norm, _mm512_set1_ps(1 / Form::kMaxUnits)), share);
  _mm512_store_ps(state.maxima + lane, now);
  const __m512 totals = _mm512_load_ps(state.totals + lane);
  _mm512_store_ps(state.totals + lane, _mm512_fmadd_ps(total, share, _mm512_mul_ps(totals, keep)));
}

template <typename Form, int kVectors>
void AddBlocks(const Queries& queries, const Panel& panel, int dim, std::int64_t begin,
               std::int64_t end, const State& state) {
  alignas(64) float scores[kSlotBlock][kTileRows];
  constexpr int kBlockWords = kSlotBlock / Form::kPerWord;
  alignas(64) std::int32_t weights[kBlockWords][kTileRows];
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    const std::int64_t at = block - panel.begin;
    const std::int64_t stop = Smaller(block + kSlotBlock, end);
    const int slots = static_cast<int>((stop - block + kGroup - 1) / kGroup * kGroup);
    BlockScores<Form, kVectors>(queries, KeyWords<Form::kPerWord>(panel, dim, block),
                                panel.key_scales + at, dim, slots, scores);
    const bool masked = queries.highest_first > block || queries.lowest_last < block + slots - 1;
    __m512 keep[kVectors], unit[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const auto make = masked ? BlockWeights<Form, true> : BlockWeights<Form, false>;
      make(queries, panel.value_scales + at, block, slots, v, scores, weights, state, keep[v],
           unit[v]);
    }
    const std::int32_t* values = ValueWords<Form::kPerWord>(panel, dim, block);
    for (int d = 0; d < dim; d += kGroup, values += kBlockWords * kGroup) {
      __m512i sums[kGroup][kVectors] = {};
      Multiply<kVectors, kGroup>(weights[0], values, slots / Form::kPerWord, Form::AddValues, sums);
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

template <typename Form>
void Add(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin, std::int64_t end,
         float* state) {
  Queries queries;
  LoadQueries<Form>(tile, dim, queries);
  const auto add = tile.rows > kWidth ? AddBlocks<Form, 2> : AddBlocks<Form, 1>;
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
  LoadQueries<Pairs>(tile, dim, queries);
  alignas(64) float scores[kSlotBlock][kTileRows];
  alignas(64) float rows[kWidth][kWidth];
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    const int count = static_cast<int>(Smaller(kSlotBlock, end - block));
    const auto make = tile.rows > kWidth ? BlockScores<Pairs, 2> : BlockScores<Pairs, 1>;
    make(queries, KeyWords<Pairs::kPerWord>(panel, dim, block),
         panel.key_scales + (block - panel.begin), dim, (count + kGroup - 1) / kGroup * kGroup,
         scores);
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
    .add = Add<Pairs>,
    .finish = Finish,
    .scores = Scores,
    .normalise = Normalise,
    .few = AttendFewAvx512,
};

const AttentionKernels kAvx512ByteAttention = {
    .panel_element_bytes = sizeof(std::int8_t),
    .pack = PackByteAttentionAvx512,
    .begin = Begin,
    .add = Add<Bytes>,
    .finish = Finish,
    .scores = nullptr,  // see AttentionWeights
    .normalise = nullptr,
    .few = AttendFewAvx512,
};

}  // namespace ondine::compute
