#include <immintrin.h>

#include "compute/activation_quants.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kBlock = 32;
constexpr std::uint32_t kInfinity = 0x7f800000;
constexpr std::uint32_t kNan = 0x7fc00000;

inline float ToFloat(std::uint32_t bits) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(bits))));
}

inline __m128i Round(__m512 x, __m512 inverse) {
  return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(x, inverse)));
}

inline std::int32_t Sum(__m128i quants) {
  // Sums of 8 unsigned bytes; 128 too much for each of 16.
  const __m128i sums =
      _mm_sad_epu8(_mm_xor_si128(quants, _mm_set1_epi8(-128)), _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi32(sums, 2) - 16 * 128;
}

}  // namespace

void QuantizeRowAvx512(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                       std::int32_t* half_sums) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  for (std::int64_t b = 0; b < blocks; ++b) {
    const __m512 low = _mm512_loadu_ps(x + b * kBlock);
    const __m512 high = _mm512_loadu_ps(x + b * kBlock + 16);
    const std::uint32_t top = _mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                         _mm512_and_si512(_mm512_castps_si512(high), magnitude)));
    const float largest = ToFloat(top);
    const float inverse = 127.0f / largest;
    scales[b] = largest / 127.0f;
    // Not finite, or all zero or nearly so: as in the scalar twin.
    if (top >= kInfinity || !(inverse < ToFloat(kInfinity))) {
      scales[b] = top >= kInfinity ? ToFloat(kNan) : 0.0f;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(quants + b * kBlock), _mm256_setzero_si256());
      half_sums[b * 2] = half_sums[b * 2 + 1] = 0;
      continue;
    }
    const __m512 factor = _mm512_set1_ps(inverse);
    const __m128i first = Round(low, factor), second = Round(high, factor);
    auto* target = reinterpret_cast<__m128i*>(quants + b * kBlock);
    _mm_storeu_si128(target, first);
    _mm_storeu_si128(target + 1, second);
    half_sums[b * 2] = Sum(first);
    half_sums[b * 2 + 1] = Sum(second);
  }
}

}  // namespace ondine::compute
