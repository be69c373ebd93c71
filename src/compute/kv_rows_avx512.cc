#include "compute/kv_rows_avx512.h"

namespace ondine::compute {
namespace {

constexpr int kRound = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

void StoreHalf(__m128 value, std::byte* to) {
  const int half = _mm_extract_epi16(_mm_cvtps_ph(value, kRound), 0);
  __builtin_memcpy(to, &half, 2);
}

float LoadHalf(const std::byte* from) {
  return _mm512_cvtss_f32(HalfScale(from));
}

// NaN stays, as the clamps' second operand.
__m512 ClampToHalf(__m512 x) {
  return _mm512_max_ps(_mm512_set1_ps(-65504), _mm512_min_ps(_mm512_set1_ps(65504), x));
}

void EncodeF16(const float* values, int dim, std::byte* row) {
  for (int d = 0; d < dim; d += kWidth) {
    const __m256i halves = _mm512_cvtps_ph(ClampToHalf(_mm512_loadu_ps(values + d)), kRound);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + 2 * d), halves);
  }
}

// Stores a block's scale and returns the reciprocal of what was stored.
__m512 StoreScale(float scale, std::byte* to) {
  StoreHalf(_mm512_castps512_ps128(ClampToHalf(_mm512_set1_ps(scale))), to);
  const float stored = LoadHalf(to);
  return _mm512_set1_ps(stored != 0 ? 1 / stored : 0);
}

// Absolute values, 0 for NaN.
__m512 Magnitude(__m512 x) {
  return _mm512_max_ps(_mm512_abs_ps(x), _mm512_setzero_ps());
}

void EncodeQ8(const float* values, int dim, std::byte* row) {
  const __m512 limit = _mm512_set1_ps(127), minus_limit = _mm512_set1_ps(-127);
  for (int block = 0; block < dim / kKvBlock; ++block) {
    __m512 x[2];
    for (int i = 0; i < 2; ++i) x[i] = _mm512_loadu_ps(values + block * kKvBlock + i * kWidth);
    const float largest = _mm512_reduce_max_ps(_mm512_max_ps(Magnitude(x[0]), Magnitude(x[1])));
    const __m512 inverse = StoreScale(largest / 127, row + dim + 2 * block);
    for (int i = 0; i < 2; ++i) {
      const __m512 scaled = _mm512_mul_ps(x[i], inverse);
      const __m512 quants = _mm512_min_ps(_mm512_max_ps(scaled, minus_limit), limit);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(row + block * kKvBlock + i * kWidth),
                       _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(quants)));
    }
  }
}

void EncodeQ4(const float* values, int dim, std::byte* row) {
  const __m512 limit = _mm512_set1_ps(15), zero = _mm512_setzero_ps();
  for (int block = 0; block < dim / kKvBlock; ++block) {
    __m512 x[2];
    for (int i = 0; i < 2; ++i) x[i] = _mm512_loadu_ps(values + block * kKvBlock + i * kWidth);
    const __m512 magnitude[2] = {Magnitude(x[0]), Magnitude(x[1])};
    const float largest = _mm512_reduce_max_ps(_mm512_max_ps(magnitude[0], magnitude[1]));
    // The first element of the largest magnitude decides the sign.
    float extreme = 0;
    for (int i = 1; i >= 0; --i) {
      const __mmask16 equal = _mm512_cmp_ps_mask(magnitude[i], _mm512_set1_ps(largest), _CMP_EQ_OQ);
      if (equal != 0 && largest > 0) {
        extreme = values[block * kKvBlock + i * kWidth + __builtin_ctz(equal)];
      }
    }
    const __m512 inverse = StoreScale(extreme / -8, row + dim / 2 + 2 * block);
    __m512i quants[2];
    for (int i = 0; i < 2; ++i) {
      const __m512 shifted = _mm512_add_ps(_mm512_mul_ps(x[i], inverse), _mm512_set1_ps(8.5f));
      quants[i] = _mm512_cvttps_epi32(_mm512_min_ps(_mm512_max_ps(shifted, zero), limit));
    }
    const __m512i pairs = _mm512_or_si512(quants[0], _mm512_slli_epi32(quants[1], 4));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + block * kWidth), _mm512_cvtepi32_epi8(pairs));
  }
}

}  // namespace

void EncodeKvRowAvx512(KvType type, const float* values, int dim, std::byte* row) {
  switch (type) {
    case KvType::kF16: return EncodeF16(values, dim, row);
    case KvType::kQ8_0: return EncodeQ8(values, dim, row);
    case KvType::kQ4_0: return EncodeQ4(values, dim, row);
  }
}

}  // namespace ondine::compute
