#include <immintrin.h>

#include "compute/static_code.h"

namespace ondine::compute {

void EncodeAvx2(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                std::uint16_t* outliers) {
  const __m256 inverse = _mm256_set1_ps(1.0f / code.scale);
  const __m256 lowest = _mm256_set1_ps(static_cast<float>(-code.zero));
  const __m256 highest = _mm256_set1_ps(static_cast<float>(code.largest - code.zero));
  const __m256i zero = _mm256_set1_epi32(code.zero);
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256i codes[2];
    int outside = 0;
    for (int half = 0; half < 2; ++half) {
      __m256 value = _mm256_mul_ps(_mm256_loadu_ps(x + i + half * 8), inverse);
      const __m256 out = _mm256_or_ps(_mm256_cmp_ps(value, lowest, _CMP_LT_OQ),
                                      _mm256_cmp_ps(value, highest, _CMP_GT_OQ));
      outside |= _mm256_movemask_ps(out) << (half * 8);
      // The second operand where the first is NaN.
      value = _mm256_min_ps(_mm256_max_ps(value, lowest), highest);
      codes[half] = _mm256_add_epi32(_mm256_cvtps_epi32(value), zero);
    }
    if (outliers != nullptr) outliers[i / 16] = static_cast<std::uint16_t>(outside);
    // Packing works within 128 bits: quarters 0 2 1 3 come out.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(codes[0], codes[1]), 0xd8);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(q + i),
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  if (i == count) return;
  EncodeScalar(code, x + i, count - i, q + i, outliers == nullptr ? nullptr : outliers + i / 16);
}

}  // namespace ondine::compute
