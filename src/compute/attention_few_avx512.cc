// Attention of few queries, straight from the stored rows. It is bound by memory if each row is
// read once and little is done to it: a key is rotated by its lane only (0 to 15), from tables that
// stay in the first cache, and the queries are rotated back by the position of the tile instead.
#include "compute/attention_kernels.h"
#include "compute/attention_state.h"
#include "compute/kv_rows_avx512.h"

namespace ondine::compute {
namespace {

constexpr int kMaxRows = 4;  // rows that share the loading of a key
constexpr int kStep = 4;     // slots that share the loading of queries
constexpr int kBlock = 64;   // slots between two updates of the running maximum
constexpr int kAhead = 32;   // slots between fetching a key and using it
constexpr int kDims = 64;    // dimensions of a value whose sums are kept in registers

enum class Pairing { kNone, kHalves, kNeighbours };

std::int64_t Smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

// The rows' queries rotated by -position of the tile.
void RotateBack(const StoredHead& head, const QueryTile& tile, int first_row, int rows,
                std::int64_t slot_tile, float (*out)[kMaxHeadDim]) {
  const int dims = head.rope_dims, half = dims / 2;
  const float* cosines = head.tile_cos + slot_tile * dims;
  const float* sines = head.tile_sin + slot_tile * dims;
  for (int e = 0; e < (head.neighbours ? dims : half); e += kWidth) {
    const int partner = head.neighbours ? e : e + half;
    const __m512 c = _mm512_loadu_ps(cosines + partner), s = _mm512_loadu_ps(sines + partner);
    for (int row = 0; row < rows; ++row) {
      const float* q = tile.q[first_row + row];
      const __m512 x = _mm512_loadu_ps(q + e);
      if (head.neighbours) {
        const __m512 swapped = _mm512_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1));
        _mm512_store_ps(out[row] + e, _mm512_fmsub_ps(x, c, _mm512_mul_ps(swapped, s)));
      } else {
        const __m512 y = _mm512_loadu_ps(q + partner);
        _mm512_store_ps(out[row] + e, _mm512_fmadd_ps(x, c, _mm512_mul_ps(y, s)));
        _mm512_store_ps(out[row] + partner, _mm512_fmsub_ps(y, c, _mm512_mul_ps(x, s)));
      }
    }
  }
}

// Sums of the lanes of four vectors.
inline __attribute__((always_inline)) __m128 SumLanes(const __m512 (&x)[4]) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
  const __m512 abcd = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
                                    _mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
  const __m256 two = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
  return _mm_add_ps(_mm256_castps256_ps128(two), _mm256_extractf128_ps(two, 1));
}

// Processors stop fetching ahead at each page. Into the second cache: fetches into the first are
// few at a time and would hold up the loads. An address past the end does no harm.
inline __attribute__((always_inline)) void Prefetch(const std::byte* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += 64) _mm_prefetch(from + at, _MM_HINT_T1);
}

template <int kRows>
using Sums = __m512[kRows][kStep];

template <int kRows>
inline __attribute__((always_inline)) void AddProducts(const float (*q)[kMaxHeadDim], int dim,
                                                       const __m512 (&keys)[kStep],
                                                       Sums<kRows>& sums) {
  for (int row = 0; row < kRows; ++row) {
    const __m512 query = _mm512_load_ps(q[row] + dim);
    for (int i = 0; i < kStep; ++i) sums[row][i] = _mm512_fmadd_ps(keys[i], query, sums[row][i]);
  }
}

// scores[row][i] of the slots slot .. slot + 3.
template <KvType kType, Pairing kPairing, int kRows>
inline __attribute__((always_inline)) void StepScores(const StoredHead& head, std::int64_t slot,
                                                      const float (*q)[kMaxHeadDim],
                                                      float (*scores)[kBlock]) {
  const std::size_t row_bytes = head.row_bytes;
  Prefetch(head.keys + (slot + kAhead) * row_bytes, kStep * row_bytes);
  Prefetch(head.values + (slot + kAhead) * row_bytes, kStep * row_bytes);
  const std::byte* rows = head.keys + slot * row_bytes;
  const int dims = head.rope_dims;
  const float* cosines = head.lane_cos + slot % kSlotTile * dims;
  const float* sines = head.lane_sin + slot % kSlotTile * dims;
  Sums<kRows> sums;
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < kStep; ++i) sums[row][i] = _mm512_setzero_ps();
  }
  const int blocks = head.head_dim / kKvBlock;
  const int rotated_blocks = kPairing == Pairing::kNone ? 0 : head.rope_dims / kKvBlock;
  if constexpr (kPairing == Pairing::kHalves) {
    const int apart = rotated_blocks / 2;
    for (int block = 0; block < apart; ++block) {
      __m512 a[2][kStep], b[2][kStep];
      for (int i = 0; i < kStep; ++i) {
        LoadKvBlock<kType>(rows + i * row_bytes, head.head_dim, block, a[0][i], a[1][i]);
        LoadKvBlock<kType>(rows + i * row_bytes, head.head_dim, block + apart, b[0][i], b[1][i]);
      }
      for (int part = 0; part < 2; ++part) {
        const int dim = block * kKvBlock + part * kWidth, partner = dim + apart * kKvBlock;
        for (int i = 0; i < kStep; ++i) {
          const __m512 x = a[part][i], y = b[part][i];
          const __m512 cosine = _mm512_load_ps(cosines + i * dims + partner);
          const __m512 sine = _mm512_load_ps(sines + i * dims + partner);
          a[part][i] = _mm512_fmsub_ps(x, cosine, _mm512_mul_ps(y, sine));
          b[part][i] = _mm512_fmadd_ps(y, cosine, _mm512_mul_ps(x, sine));
        }
        AddProducts<kRows>(q, dim, a[part], sums);
        AddProducts<kRows>(q, partner, b[part], sums);
      }
    }
  } else if constexpr (kPairing == Pairing::kNeighbours) {
    for (int block = 0; block < rotated_blocks; ++block) {
      __m512 x[2][kStep];
      for (int i = 0; i < kStep; ++i) {
        LoadKvBlock<kType>(rows + i * row_bytes, head.head_dim, block, x[0][i], x[1][i]);
      }
      for (int part = 0; part < 2; ++part) {
        const int dim = block * kKvBlock + part * kWidth;
        for (int i = 0; i < kStep; ++i) {
          const __m512 swapped = _mm512_permute_ps(x[part][i], _MM_SHUFFLE(2, 3, 0, 1));
          const __m512 turned = _mm512_mul_ps(swapped, _mm512_load_ps(sines + i * dims + dim));
          x[part][i] =
              _mm512_fmadd_ps(x[part][i], _mm512_load_ps(cosines + i * dims + dim), turned);
        }
        AddProducts<kRows>(q, dim, x[part], sums);
      }
    }
  }
  for (int block = rotated_blocks; block < blocks; ++block) {
    __m512 x[2][kStep];
    for (int i = 0; i < kStep; ++i) {
      LoadKvBlock<kType>(rows + i * row_bytes, head.head_dim, block, x[0][i], x[1][i]);
    }
    AddProducts<kRows>(q, block * kKvBlock, x[0], sums);
    AddProducts<kRows>(q, block * kKvBlock + kWidth, x[1], sums);
  }
  for (int row = 0; row < kRows; ++row) _mm_store_ps(scores[row], SumLanes(sums[row]));
}

// One row's scores of a block become weights relative to the new maximum, invisible ones 0. Returns
// what older sums are to be multiplied by.
float BlockWeights(const QueryTile& tile, int row, std::int64_t block, std::int64_t end,
                   float* scores, float* maximum, float* total) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto first = static_cast<int>(tile.first[row] - block);
  const auto last = static_cast<int>(Smaller(tile.last[row], end - 1) - block);
  const __m512 scale = _mm512_set1_ps(tile.scale);
  __mmask16 visible[kBlock / kWidth];
  __m512 x[kBlock / kWidth];
  __m512 largest = _mm512_set1_ps(*maximum);
  for (int i = 0; i < kBlock / kWidth; ++i) {
    const __m512i slot = _mm512_add_epi32(lanes, _mm512_set1_epi32(i * kWidth));
    visible[i] = static_cast<__mmask16>(_mm512_cmpge_epi32_mask(slot, _mm512_set1_epi32(first)) &
                                        _mm512_cmple_epi32_mask(slot, _mm512_set1_epi32(last)));
    x[i] = _mm512_mul_ps(_mm512_maskz_load_ps(visible[i], scores + i * kWidth), scale);
    largest = _mm512_mask_max_ps(largest, visible[i], largest, x[i]);
  }
  const __m512 now = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
  __m512 sum = _mm512_setzero_ps();
  for (int i = 0; i < kBlock / kWidth; ++i) {
    x[i] = _mm512_maskz_mov_ps(visible[i], Exp2(_mm512_sub_ps(x[i], now)));
    sum = _mm512_add_ps(sum, x[i]);
    _mm512_store_ps(scores + i * kWidth, x[i]);
  }
  const float keep = _mm512_cvtss_f32(Exp2(_mm512_sub_ps(_mm512_set1_ps(*maximum), now)));
  *maximum = _mm512_cvtss_f32(now);
  *total = *total * keep + _mm512_reduce_add_ps(sum);
  return keep;
}

// Adds weighted values of `count` slots to `kVectors` vectors of each row's sums.
template <KvType kType, int kRows, int kBlocks>
void AddValues(const StoredHead& head, std::int64_t slot, int count, int block,
               const float (*weights)[kBlock], const float* keep, float* const* sums) {
  __m512 sum[kRows][2 * kBlocks];
  for (int row = 0; row < kRows; ++row) {
    for (int v = 0; v < 2 * kBlocks; ++v) {
      sum[row][v] = _mm512_mul_ps(_mm512_loadu_ps(sums[row] + block * kKvBlock + v * kWidth),
                                  _mm512_set1_ps(keep[row]));
    }
  }
  const std::byte* value = head.values + slot * head.row_bytes;
  for (int i = 0; i < count; ++i, value += head.row_bytes) {
    __m512 x[2 * kBlocks];
    for (int b = 0; b < kBlocks; ++b) {
      LoadKvBlock<kType>(value, head.head_dim, block + b, x[2 * b], x[2 * b + 1]);
    }
    for (int row = 0; row < kRows; ++row) {
      const __m512 weight = _mm512_set1_ps(weights[row][i]);
      for (int v = 0; v < 2 * kBlocks; ++v)
        sum[row][v] = _mm512_fmadd_ps(x[v], weight, sum[row][v]);
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int v = 0; v < 2 * kBlocks; ++v) {
      _mm512_storeu_ps(sums[row] + block * kKvBlock + v * kWidth, sum[row][v]);
    }
  }
}

template <KvType kType, Pairing kPairing, int kRows>
void AttendRows(const QueryTile& tile, int first_row, const StoredHead& head, std::int64_t begin,
                std::int64_t end, float* partial) {
  const int dim = head.head_dim;
  alignas(64) float q[kRows][kMaxHeadDim];
  alignas(64) float scores[kRows][kBlock];
  float* sums[kRows];
  for (int row = 0; row < kRows; ++row) {
    __builtin_memcpy(q[row], tile.q[first_row + row], dim * sizeof(float));
    sums[row] = partial + (first_row + row) * (dim + 2);
    __builtin_memset(sums[row], 0, (dim + 2) * sizeof(float));
    sums[row][dim] = kNothing;
  }
  for (std::int64_t block = begin; block < end; block += kBlock) {
    const auto count = static_cast<int>(Smaller(kBlock, end - block));
    for (int slot = 0; slot < count; slot += kStep) {
      if (kPairing != Pairing::kNone && slot % kSlotTile == 0) {
        RotateBack(head, tile, first_row, kRows, (block + slot) / kSlotTile, q);
      }
      float(*to)[kBlock] = reinterpret_cast<float(*)[kBlock]>(&scores[0][slot]);
      StepScores<kType, kPairing, kRows>(head, block + slot, q, to);
    }
    float keep[kRows];
    for (int row = 0; row < kRows; ++row) {
      keep[row] = BlockWeights(tile, first_row + row, block, end, scores[row], sums[row] + dim,
                               sums[row] + dim + 1);
    }
    int at = 0;
    for (; at + kDims <= dim; at += kDims) {
      AddValues<kType, kRows, kDims / kKvBlock>(head, block, count, at / kKvBlock, scores, keep,
                                                sums);
    }
    if (at < dim) {
      AddValues<kType, kRows, 1>(head, block, count, at / kKvBlock, scores, keep, sums);
    }
  }
}

template <KvType kType, Pairing kPairing>
void AttendTile(const QueryTile& tile, const StoredHead& head, std::int64_t begin, std::int64_t end,
                float* partial) {
  using Function =
      void (*)(const QueryTile&, int, const StoredHead&, std::int64_t, std::int64_t, float*);
  static constexpr Function kByRows[kMaxRows] = {
      AttendRows<kType, kPairing, 1>, AttendRows<kType, kPairing, 2>,
      AttendRows<kType, kPairing, 3>, AttendRows<kType, kPairing, 4>};
  for (int row = 0; row < tile.rows; row += kMaxRows) {
    const auto rows = static_cast<int>(Smaller(kMaxRows, tile.rows - row));
    kByRows[rows - 1](tile, row, head, begin, end, partial);
  }
}

template <KvType kType>
void AttendTile(const QueryTile& tile, const StoredHead& head, std::int64_t begin, std::int64_t end,
                float* partial) {
  if (head.rope_dims == 0) {
    AttendTile<kType, Pairing::kNone>(tile, head, begin, end, partial);
  } else if (head.neighbours) {
    AttendTile<kType, Pairing::kNeighbours>(tile, head, begin, end, partial);
  } else {
    AttendTile<kType, Pairing::kHalves>(tile, head, begin, end, partial);
  }
}

}  // namespace

void AttendFewAvx512(const QueryTile& tile, const StoredHead& head, std::int64_t begin,
                     std::int64_t end, float* partial) {
  // Rotations are done in whole blocks. Of other sizes, as with heads of 80, 100 or 120, the kernel
  // for AVX2 takes care, which is slower.
  const int grain = head.neighbours ? kKvBlock : 2 * kKvBlock;
  if (head.rope_dims % grain != 0) {
    kAvx2Attention.few(tile, head, begin, end, partial);
    return;
  }
  switch (head.type) {
    case KvType::kF16: return AttendTile<KvType::kF16>(tile, head, begin, end, partial);
    case KvType::kQ8_0: return AttendTile<KvType::kQ8_0>(tile, head, begin, end, partial);
    case KvType::kQ4_0: return AttendTile<KvType::kQ4_0>(tile, head, begin, end, partial);
  }
}

}  // namespace ondine::compute
