#include <immintrin.h>

#include "compute/lanes_avx512.h"
#include "compute/static_code.h"

namespace ondine::compute {

void EncodeAvx512(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                  std::uint16_t* outliers) {
  const __m512 inverse = _mm512_set1_ps(1.0f / code.scale);
  const __m512 lowest = _mm512_set1_ps(static_cast<float>(-code.zero));
  const __m512 highest = _mm512_set1_ps(static_cast<float>(code.largest - code.zero));
  const __m512i zero = _mm512_set1_epi32(code.zero);
  for (std::int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = FirstLanes(count - i);
    __m512 value = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), inverse);
    if (outliers != nullptr) {
      outliers[i / 16] =
          static_cast<std::uint16_t>(_mm512_mask_cmp_ps_mask(mask, value, lowest, _CMP_LT_OQ) |
                                     _mm512_mask_cmp_ps_mask(mask, value, highest, _CMP_GT_OQ));
    }
    // The second operand where the first is NaN.
    value = _mm512_min_ps(_mm512_max_ps(value, lowest), highest);
    const __m512i codes = _mm512_add_epi32(_mm512_cvtps_epi32(value), zero);
    _mm512_mask_cvtepi32_storeu_epi8(q + i, mask, codes);
  }
}

}  // namespace ondine::compute
