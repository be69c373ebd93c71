// Rows of floats as rows of integers, for the AVX-512 attention kernels. Only for files that are
// compiled for AVX-512: everything here has internal linkage, so that no copy of it can reach other
// code.
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_INTEGERS_AVX512_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_INTEGERS_AVX512_H_

#include <immintrin.h>

#include <cstdint>

#include "compute/attention_kernels.h"
#include "compute/kv_rows_avx512.h"

namespace ondine::compute {

constexpr float kMaxInteger = 32767.0f;
constexpr float kMaxByte = 127.0f;
constexpr float kMaxLength = 46000.0f;  // its square is below 2^31
// Slots, or dimensions, of a register tile: with two vectors of rows 16 sums, which hide the
// latency of a product.
constexpr int kGroup = 8;

// Panels of integers, `kPerWord` of them (two of 16 bits or four of 8) in a word of 32 bits. Keys
// are [slot / 16][dim / kPerWord][slot % 16]; values, of words = 128 / kPerWord,
// [slot / 128][dim / 8][slot / kPerWord % words][dim % 8]. Each element is a word: neighbouring
// dimensions of a key, neighbouring slots of a value. A register tile so reads both from front to
// back.
template <int kPerWord>
static inline std::int32_t* KeyWords(const Panel& panel, int dim, std::int64_t slot) {
  return static_cast<std::int32_t*>(panel.keys) + (slot - panel.begin) * (dim / kPerWord);
}
template <int kPerWord>
static inline std::int32_t* ValueWords(const Panel& panel, int dim, std::int64_t slot) {
  const std::int64_t at = slot - panel.begin;
  return static_cast<std::int32_t*>(panel.values) +
         at / kSlotBlock * (kSlotBlock / kPerWord) * dim + at % kSlotBlock / kPerWord * kGroup;
}

struct IntegerRows {
  alignas(64) std::int16_t values[kWidth][kMaxHeadDim];
  alignas(64) float units[kWidth];  // row = unit * integers
};

struct ByteRows {
  alignas(64) std::int8_t values[kWidth][kMaxHeadDim];
};

enum class IntegerRange {
  kDirection,  // dot products of two rows stay within 32 bits
  kElement,    // the largest element becomes the largest integer
  kByte,       // ... of 8 bits
};

// 16 rows; where `rows` is null the result is zeros.
static inline void ToIntegers(const float* const* rows, int dim, IntegerRange range,
                              IntegerRows& out) {
  alignas(64) float squares[kWidth] = {}, largest[kWidth] = {};
  for (int row = 0; row < kWidth; ++row) {
    if (rows[row] == nullptr) continue;
    __m512 sum = _mm512_setzero_ps(), most = _mm512_setzero_ps();
    for (int d = 0; d < dim; d += kWidth) {
      const __m512 x = _mm512_loadu_ps(rows[row] + d);
      sum = _mm512_fmadd_ps(x, x, sum);
      most = _mm512_max_ps(most, _mm512_abs_ps(x));
    }
    squares[row] = _mm512_reduce_add_ps(sum);
    largest[row] = _mm512_reduce_max_ps(most);
  }
  const float end = range == IntegerRange::kByte ? kMaxByte : kMaxInteger;
  __m512 units = _mm512_mul_ps(_mm512_load_ps(largest), _mm512_set1_ps(1 / end));
  if (range == IntegerRange::kDirection) {
    const __m512 lengths = _mm512_sqrt_ps(_mm512_load_ps(squares));
    units = _mm512_max_ps(units, _mm512_mul_ps(lengths, _mm512_set1_ps(1 / kMaxLength)));
  }
  alignas(64) float inverses[kWidth];
  const __mmask16 nonzero = _mm512_cmp_ps_mask(units, _mm512_setzero_ps(), _CMP_GT_OQ);
  _mm512_store_ps(inverses, _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(1), units));
  _mm512_store_ps(out.units, units);
  for (int row = 0; row < kWidth; ++row) {
    const __m512 inverse = _mm512_set1_ps(inverses[row]);
    for (int d = 0; d < dim; d += kWidth) {
      const __m512 x = rows[row] == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(rows[row] + d);
      const __m512i integers = _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.values[row] + d),
                         _mm512_cvtepi32_epi16(integers));
    }
  }
}

// Takes `dim` of 16 rows to rows of 8 bits. Their elements must fit.
static inline void ToBytes(const IntegerRows& rows, int dim, ByteRows& out) {
  for (int row = 0; row < kWidth; ++row) {
    for (int d = 0; d < dim; d += 2 * kWidth) {
      const __m512i integers = _mm512_load_si512(rows.values[row] + d);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.values[row] + d),
                         _mm512_cvtepi16_epi8(integers));
    }
  }
}

// The Walsh-Hadamard transform of neighbouring groups of dimensions, as large as a power of two
// that divides their number: dot products of two transformed rows are `size` times as large, and an
// outlier is spread over its group, so that 8 bits hold what is left.
static inline int HadamardSize(int dim) {
  return dim & -dim;
}
static inline void Hadamard(int dim, float* x) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int step = 1; step < kWidth; step *= 2) {
    const __m512i apart = _mm512_set1_epi32(step);
    const __m512i partner = _mm512_xor_si512(lane, apart);
    const __mmask16 upper = _mm512_test_epi32_mask(lane, apart);
    for (int d = 0; d < dim; d += kWidth) {
      const __m512 mine = _mm512_loadu_ps(x + d);
      const __m512 other = _mm512_permutexvar_ps(partner, mine);
      const __m512 sum = _mm512_add_ps(other, mine);
      _mm512_storeu_ps(x + d, _mm512_mask_sub_ps(sum, upper, other, mine));
    }
  }
  const int size = HadamardSize(dim);
  for (int step = kWidth; step < size; step *= 2) {
    for (int d = 0; d < dim; d += kWidth) {
      if ((d & step) != 0) continue;
      const __m512 a = _mm512_loadu_ps(x + d), b = _mm512_loadu_ps(x + d + step);
      _mm512_storeu_ps(x + d, _mm512_add_ps(a, b));
      _mm512_storeu_ps(x + d + step, _mm512_sub_ps(a, b));
    }
  }
}

// 16 x 16 elements of 32 bits; rows lie `from_stride` and `to_stride` elements apart.
static inline void Transpose(const void* from, int from_stride, void* to, int to_stride) {
  __m512i a[kWidth], b[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    a[i] = _mm512_loadu_si512(static_cast<const std::int32_t*>(from) + i * from_stride);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kWidth; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  // a[i + j] has, in each quarter k, column 4 k + j of the rows i .. i + 3.
#pragma GCC unroll 4
  for (int i = 0; i < kWidth; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i low = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x44);
    const __m512i high = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xee);
    const __m512i low2 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x44);
    const __m512i high2 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xee);
    b[j] = _mm512_shuffle_i32x4(low, low2, 0x88);
    b[4 + j] = _mm512_shuffle_i32x4(low, low2, 0xdd);
    b[8 + j] = _mm512_shuffle_i32x4(high, high2, 0x88);
    b[12 + j] = _mm512_shuffle_i32x4(high, high2, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    _mm512_storeu_si512(static_cast<std::int32_t*>(to) + i * to_stride, b[i]);
  }
}

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_INTEGERS_AVX512_H_
