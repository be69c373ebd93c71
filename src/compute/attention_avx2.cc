// Attention in floats on vectors of 8. Keys of 16 slots stand side by side, so that a vector is
// eight slots of one query row; of values it is eight dimensions. Four rows share what is loaded.
#include <algorithm>

#include "compute/attention_rotation.h"
#include "compute/attention_state.h"
#include "compute/kv_rows_loops.h"
#include "compute/lanes_avx2.h"
#include "compute/tile_loops.h"

namespace ondine::compute {
namespace {

constexpr int kLanes = Avx2Lanes::kCount;
constexpr int kRowGroup = 4;  // with two vectors of each 8 sums, which hide a product's latency
static_assert(kSlotTile == 2 * kLanes);

// Slots of a panel where queries are few: with 64 dimensions it stays in the first cache.
constexpr int kFewBlock = 32;

// Panels: keys [slot / 16][dim][16]; values [slot / block][dim / 16][slot % block][16], a block
// being kSlotBlock or kFewBlock slots.

void ReadRow(const StoredHead& head, const std::byte* row, float* out) {
  if (head.type != KvType::kF16) return Decode(head.type, row, head.head_dim, out);
  for (int d = 0; d < head.head_dim; d += kLanes) {
    Avx2Lanes::Store(out + d, Avx2Lanes::LoadHalves(row + 2 * d));
  }
}

// 8 x 8 floats; rows lie `from_stride` and `to_stride` floats apart.
void Transpose(const float* from, int from_stride, float* to, int to_stride) {
  __m256 a[kLanes], b[kLanes];
  Unroll<kLanes>([&](auto i) { a[i] = Avx2Lanes::Load(from + i * from_stride); });
  Unroll<kLanes / 2>([&](auto i) {
    b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
  });
  // a[4 h + i] has columns i and i + 4 of the rows 4 h to 4 h + 3.
  Unroll<2>([&](auto h) {
    const __m256 *low = b + 4 * h, *high = low + 2;
    a[4 * h] = _mm256_shuffle_ps(low[0], high[0], 0x44);
    a[4 * h + 1] = _mm256_shuffle_ps(low[0], high[0], 0xee);
    a[4 * h + 2] = _mm256_shuffle_ps(low[1], high[1], 0x44);
    a[4 * h + 3] = _mm256_shuffle_ps(low[1], high[1], 0xee);
  });
  Unroll<kLanes / 2>([&](auto i) {
    Avx2Lanes::Store(to + i * to_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x20));
    Avx2Lanes::Store(to + (4 + i) * to_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x31));
  });
}

// Up to 16 slots, from a multiple of 16 on; zeros stand for those that are not there.
void PackTile(const StoredHead& head, std::int64_t slot, std::int64_t end, int block,
              const Panel& panel, void (*rotate)(const StoredHead&, std::int64_t, float*)) {
  const int dim = head.head_dim;
  alignas(64) float rows[kSlotTile][kMaxHeadDim];
  const auto read = [&](const std::byte* stored, int i) {
    if (slot + i < end) {
      ReadRow(head, stored + (slot + i) * head.row_bytes, rows[i]);
    } else {
      std::fill_n(rows[i], dim, 0.0f);
    }
  };
  const std::int64_t at = slot - panel.begin;
  float* keys = static_cast<float*>(panel.keys) + at * dim;
  for (int i = 0; i < kSlotTile; ++i) {
    read(head.keys, i);
    if (slot + i < end) rotate(head, slot + i, rows[i]);
  }
  for (int d = 0; d < dim; d += kLanes) {
    Transpose(rows[0] + d, kMaxHeadDim, keys + d * kSlotTile, kSlotTile);
    Transpose(rows[kLanes] + d, kMaxHeadDim, keys + d * kSlotTile + kLanes, kSlotTile);
  }
  if (panel.values == nullptr) return;
  float* values =
      static_cast<float*>(panel.values) + at / block * block * dim + at % block * kSlotTile;
  for (int i = 0; i < kSlotTile; ++i) {
    read(head.values, i);
    for (int d = 0; d < dim; d += kSlotTile) {
      float* to = values + d * block + i * kSlotTile;
      Avx2Lanes::Store(to, Avx2Lanes::Load(rows[i] + d));
      Avx2Lanes::Store(to + kLanes, Avx2Lanes::Load(rows[i] + d + kLanes));
    }
  }
}

void Pack(const StoredHead& head, std::int64_t begin, std::int64_t end, const Panel& panel) {
  for (std::int64_t slot = begin; slot < end; slot += kSlotTile) {
    PackTile(head, slot, end, kSlotBlock, panel, RotateKey);
  }
}

using BlockScores = float[kTileRows][kSlotBlock];

// q.k of kRows rows and 16 slots.
template <int kRows>
void ScoreSlots(const float* const* q, const float* keys, int dim, float (*scores)[kSlotBlock]) {
  __m256 sums[kRows][2];
  Unroll<kRows>([&](auto r) { sums[r][0] = sums[r][1] = _mm256_setzero_ps(); });
  for (int d = 0; d < dim; ++d, keys += kSlotTile) {
    const __m256 low = Avx2Lanes::Load(keys), high = Avx2Lanes::Load(keys + kLanes);
    Unroll<kRows>([&](auto r) {
      const __m256 x = Avx2Lanes::Set(q[r][d]);
      sums[r][0] = Avx2Lanes::MultiplyAdd(x, low, sums[r][0]);
      sums[r][1] = Avx2Lanes::MultiplyAdd(x, high, sums[r][1]);
    });
  }
  Unroll<kRows>([&](auto r) {
    Avx2Lanes::Store(scores[r], sums[r][0]);
    Avx2Lanes::Store(scores[r] + kLanes, sums[r][1]);
  });
}

// sums = factor * sums + weights * values, for kRows rows and 16 dimensions.
template <int kRows>
void AddValues(const float (*weights)[kSlotBlock], const float* values, int slots,
               const float* factors, float* const* sums, int d) {
  __m256 totals[kRows][2];
  Unroll<kRows>([&](auto r) {
    const __m256 factor = Avx2Lanes::Set(factors[r]);
    totals[r][0] = Avx2Lanes::Multiply(factor, Avx2Lanes::Load(sums[r] + d));
    totals[r][1] = Avx2Lanes::Multiply(factor, Avx2Lanes::Load(sums[r] + d + kLanes));
  });
  for (int slot = 0; slot < slots; ++slot, values += kSlotTile) {
    const __m256 low = Avx2Lanes::Load(values), high = Avx2Lanes::Load(values + kLanes);
    Unroll<kRows>([&](auto r) {
      const __m256 weight = Avx2Lanes::Set(weights[r][slot]);
      totals[r][0] = Avx2Lanes::MultiplyAdd(weight, low, totals[r][0]);
      totals[r][1] = Avx2Lanes::MultiplyAdd(weight, high, totals[r][1]);
    });
  }
  Unroll<kRows>([&](auto r) {
    Avx2Lanes::Store(sums[r] + d, totals[r][0]);
    Avx2Lanes::Store(sums[r] + d + kLanes, totals[r][1]);
  });
}

// Calls work(rows, row), `rows` a constant up to kRowGroup, for groups of the tile's rows.
template <typename Work>
void ForRowGroups(int rows, const Work& work) {
  int row = 0;
  for (; row + kRowGroup <= rows; row += kRowGroup) {
    work(std::integral_constant<int, kRowGroup>(), row);
  }
  switch (rows - row) {
    case 1: return work(std::integral_constant<int, 1>(), row);
    case 2: return work(std::integral_constant<int, 2>(), row);
    case 3: return work(std::integral_constant<int, 3>(), row);
    default: return;
  }
}

// 2^x for x <= 0, within 3e-6 relative and exact for whole x; 2^-126 below that.
__m256 Exp2(__m256 x) {
  x = _mm256_max_ps(_mm256_set1_ps(-126), x);  // in this order a NaN stays
  const __m256 whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 f = _mm256_sub_ps(x, whole);
  // Minimax polynomial of 2^f on [-1/2, 1/2], given 1 at 0.
  __m256 power = _mm256_set1_ps(0.009582853f);
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(0.055906426f));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(0.24024099f));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(0.6931242f));
  power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(1.0f));
  const __m256i exponent =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(power, _mm256_castsi256_ps(exponent));
}

float Exp2(float x) {
  return _mm256_cvtss_f32(Exp2(_mm256_set1_ps(x)));
}

float Largest(__m256 x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

float Sum(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// All bits of the lanes whose numbers, `at` on, are in [first, last].
__m256 Within(std::int64_t at, std::int64_t first, std::int64_t last) {
  const auto number = [](std::int64_t x) {
    return _mm256_set1_epi32(static_cast<std::int32_t>(x));
  };
  const __m256i lane = _mm256_add_epi32(number(at), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_cmpgt_epi32(number(first), lane),
                                                 _mm256_cmpgt_epi32(number(last + 1), lane)));
}

// Turns a row's scores of a block into weights, invisible ones into 0. Returns what older sums are
// to be multiplied by.
float BlockWeights(const QueryTile& tile, int row, std::int64_t block, int slots, float* scores,
                   const Running& to) {
  const std::int64_t first = tile.first[row], last = tile.last[row];
  const __m256 scale = Avx2Lanes::Set(tile.scale), nothing = Avx2Lanes::Set(kNothing);
  __m256 largest = Avx2Lanes::Set(*to.maximum);
  for (int slot = 0; slot < slots; slot += kLanes) {
    const __m256 score = Avx2Lanes::Multiply(Avx2Lanes::Load(scores + slot), scale);
    const __m256 seen = _mm256_blendv_ps(nothing, score, Within(block + slot, first, last));
    largest = _mm256_max_ps(seen, largest);
    Avx2Lanes::Store(scores + slot, score);
  }
  const float now = Largest(largest);
  const __m256 maximum = Avx2Lanes::Set(now);
  __m256 sum = _mm256_setzero_ps();
  for (int slot = 0; slot < slots; slot += kLanes) {
    const __m256 power = Exp2(_mm256_sub_ps(Avx2Lanes::Load(scores + slot), maximum));
    const __m256 weight = _mm256_and_ps(power, Within(block + slot, first, last));
    sum = _mm256_add_ps(sum, weight);
    Avx2Lanes::Store(scores + slot, weight);
  }
  const float keep = Exp2(*to.maximum - now);
  *to.maximum = now;
  *to.total = *to.total * keep + Sum(sum);
  return keep;
}

// Adds `slots` slots from `block` on, a multiple of 16 at most kBlock, which the panel's keys and
// values begin with. queries(slot) are the tile's rows as the keys of the 16 slots from there on
// meet them.
template <int kBlock, typename Queries>
void AddBlock(const QueryTile& tile, const Queries& queries, const float* keys, const float* values,
              int dim, std::int64_t block, int slots, float* state) {
  alignas(64) BlockScores scores;
  for (int slot = 0; slot < slots; slot += kSlotTile) {
    const float* const* q = queries(block + slot);
    ForRowGroups(tile.rows, [&](auto rows, int row) {
      float(*to)[kSlotBlock] = reinterpret_cast<float(*)[kSlotBlock]>(scores[row] + slot);
      ScoreSlots<rows>(q + row, keys + slot * dim, dim, to);
    });
  }
  float keep[kTileRows];
  float* sums[kTileRows];
  for (int row = 0; row < tile.rows; ++row) {
    const Running running = RowState(state, dim, row);
    keep[row] = BlockWeights(tile, row, block, slots, scores[row], running);
    sums[row] = running.sums;
  }
  for (int d = 0; d < dim; d += kSlotTile) {
    ForRowGroups(tile.rows, [&](auto rows, int row) {
      AddValues<rows>(scores + row, values + d * kBlock, slots, keep + row, sums + row, d);
    });
  }
}

int RoundUpToTile(std::int64_t slots) {
  return static_cast<int>((slots + kSlotTile - 1) / kSlotTile * kSlotTile);
}

void Begin(int dim, float* state) {
  Clear(kTileRows, dim, state);
}

void Add(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin, std::int64_t end,
         float* state) {
  const auto queries = [&](std::int64_t /*slot*/) { return tile.q; };
  for (std::int64_t block = begin; block < end; block += kSlotBlock) {
    const std::int64_t at = (block - panel.begin) * dim;
    const int slots = RoundUpToTile(std::min<std::int64_t>(kSlotBlock, end - block));
    AddBlock<kSlotBlock>(tile, queries, static_cast<const float*>(panel.keys) + at,
                         static_cast<const float*>(panel.values) + at, dim, block, slots, state);
  }
}

void Finish(const QueryTile& tile, int dim, const float* state, float* const* out) {
  for (int row = 0; row < tile.rows; ++row) {
    const float* sums = state + row * (dim + 2);
    const __m256 inverse = Avx2Lanes::Set(1 / sums[dim + 1]);
    for (int d = 0; d < dim; d += kLanes) {
      Avx2Lanes::Store(out[row] + d, Avx2Lanes::Multiply(Avx2Lanes::Load(sums + d), inverse));
    }
  }
}

void Scores(const QueryTile& tile, const Panel& panel, int dim, std::int64_t begin,
            std::int64_t end, float* const* out) {
  const float* keys = static_cast<const float*>(panel.keys) - panel.begin * dim;
  const __m256 scale = Avx2Lanes::Set(tile.scale);
  for (std::int64_t slot = begin; slot < end; slot += kSlotTile) {
    alignas(64) float scores[kRowGroup][kSlotBlock];
    ForRowGroups(tile.rows, [&](auto rows, int row) {
      ScoreSlots<rows>(tile.q + row, keys + slot * dim, dim, scores);
      for (int r = 0; r < rows; ++r) {
        for (int i = 0; i < kSlotTile; i += kLanes) {
          const __m256 score = Avx2Lanes::Multiply(Avx2Lanes::Load(scores[r] + i), scale);
          Avx2Lanes::StorePart(out[row + r] + (slot - begin) + i, score, end - slot - i);
        }
      }
    });
  }
}

void Normalise(float* row, std::int64_t first, std::int64_t last, std::int64_t count) {
  __m256 largest = Avx2Lanes::Set(kNothing);
  for (std::int64_t j = 0; j < count; j += kLanes) {
    const __m256 score = Avx2Lanes::LoadPart(row + j, count - j);
    const __m256 seen = _mm256_blendv_ps(Avx2Lanes::Set(kNothing), score, Within(j, first, last));
    largest = _mm256_max_ps(seen, largest);
  }
  const __m256 maximum = Avx2Lanes::Set(Largest(largest));
  __m256 sum = _mm256_setzero_ps();
  for (std::int64_t j = 0; j < count; j += kLanes) {
    const __m256 score = Avx2Lanes::LoadPart(row + j, count - j);
    const __m256 power = Exp2(_mm256_sub_ps(score, maximum));
    const __m256 weight = _mm256_and_ps(power, Within(j, first, last));
    sum = _mm256_add_ps(sum, weight);
    Avx2Lanes::StorePart(row + j, weight, count - j);
  }
  const float total = Sum(sum);
  const float inverse = total > 0 ? 1 / total : 0;
  for (std::int64_t j = 0; j < count; ++j) row[j] *= inverse;
}

void Few(const QueryTile& tile, const StoredHead& head, std::int64_t begin, std::int64_t end,
         float* partial) {
  const int dim = head.head_dim;
  alignas(64) float keys[kFewBlock * kMaxHeadDim], values[kFewBlock * kMaxHeadDim];
  Clear(tile.rows, dim, partial);
  alignas(64) float turned[kTileRows][kMaxHeadDim];
  const float* turned_rows[kTileRows];
  for (int row = 0; row < tile.rows; ++row) turned_rows[row] = turned[row];
  const auto queries = [&](std::int64_t slot) -> const float* const* {
    if (head.rope_dims == 0) return tile.q;
    for (int row = 0; row < tile.rows; ++row) {
      std::copy_n(tile.q[row], dim, turned[row]);
      RotateQueryBack(head, slot / kSlotTile, turned[row]);
    }
    return turned_rows;
  };
  // Blocks begin at multiples of their size, so that a row's result does not depend on where the
  // rows around it begin.
  for (std::int64_t slot = begin; slot < end;) {
    const std::int64_t block = slot / kFewBlock * kFewBlock;
    const std::int64_t stop = std::min(block + kFewBlock, end);
    const Panel panel = {block, keys, values, nullptr, nullptr};
    for (std::int64_t tile_slot = block; tile_slot < stop; tile_slot += kSlotTile) {
      PackTile(head, tile_slot, stop, kFewBlock, panel, RotateKeyByLane);
    }
    AddBlock<kFewBlock>(tile, queries, keys, values, dim, block, RoundUpToTile(stop - block),
                        partial);
    slot = stop;
  }
}

}  // namespace

const AttentionKernels kAvx2Attention = {
    .panel_element_bytes = sizeof(float),
    .pack = Pack,
    .begin = Begin,
    .add = Add,
    .finish = Finish,
    .scores = Scores,
    .normalise = Normalise,
    .few = Few,
};

}  // namespace ondine::compute
