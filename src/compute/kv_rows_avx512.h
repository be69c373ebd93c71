// Stored rows as vectors of 16 floats. Only for files that are compiled for AVX-512: everything
// here has internal linkage, so that no copy of it can reach other code.
#ifndef ONDINE_SRC_COMPUTE_KV_ROWS_AVX512_H_
#define ONDINE_SRC_COMPUTE_KV_ROWS_AVX512_H_

#include <immintrin.h>

#include "compute/kv_rows.h"

namespace ondine::compute {

constexpr int kWidth = 16;  // floats of a vector

static inline __m512 HalfScale(const std::byte* scale) {
  std::uint16_t half;
  __builtin_memcpy(&half, scale, sizeof(half));
  return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<std::int16_t>(half)));
}

// Elements 32 * block .. 32 * block + 31 of a row.
template <KvType kType>
static inline __attribute__((always_inline)) void LoadKvBlock(const std::byte* row, int dim,
                                                              int block, __m512& low,
                                                              __m512& high) {
  if constexpr (kType == KvType::kF16) {
    const auto* halves = reinterpret_cast<const __m256i*>(row) + 2 * block;
    low = _mm512_cvtph_ps(_mm256_loadu_si256(halves));
    high = _mm512_cvtph_ps(_mm256_loadu_si256(halves + 1));
  } else if constexpr (kType == KvType::kQ8_0) {
    const auto* quants = reinterpret_cast<const __m128i*>(row) + 2 * block;
    const __m512 scale = HalfScale(row + dim + 2 * block);
    const __m512i first = _mm512_cvtepi8_epi32(_mm_loadu_si128(quants));
    const __m512i second = _mm512_cvtepi8_epi32(_mm_loadu_si128(quants + 1));
    low = _mm512_mul_ps(_mm512_cvtepi32_ps(first), scale);
    high = _mm512_mul_ps(_mm512_cvtepi32_ps(second), scale);
  } else {
    const auto* nibbles = reinterpret_cast<const __m128i*>(row) + block;
    const __m512 scale = HalfScale(row + dim / 2 + 2 * block);
    const __m512 values = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    const __m512 scaled = _mm512_mul_ps(values, scale);
    // The permutation looks at the low four bits of each index only.
    const __m512i pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128(nibbles));
    low = _mm512_permutexvar_ps(pairs, scaled);
    high = _mm512_permutexvar_ps(_mm512_srli_epi32(pairs, 4), scaled);
  }
}

// 2^x for x <= 0, within 3e-6 relative and exact for whole x.
static inline __attribute__((always_inline)) __m512 Exp2(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  // Minimax polynomial of 2^f on [-1/2, 1/2], given 1 at 0.
  __m512 power = _mm512_set1_ps(0.009582853f);
  power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(0.055906426f));
  power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(0.24024099f));
  power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(0.6931242f));
  power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(power, whole);
}

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_KV_ROWS_AVX512_H_
