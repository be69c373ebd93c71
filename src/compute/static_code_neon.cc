#include <arm_neon.h>

#include "compute/static_code.h"

namespace ondine::compute {

void EncodeNeon(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                std::uint16_t* outliers) {
  const float32x4_t inverse = vdupq_n_f32(1.0f / code.scale);
  const float32x4_t lowest = vdupq_n_f32(static_cast<float>(-code.zero));
  const float32x4_t highest = vdupq_n_f32(static_cast<float>(code.largest - code.zero));
  const int32x4_t zero = vdupq_n_s32(code.zero);
  constexpr std::uint32_t kBits[4] = {1, 2, 4, 8};
  const uint32x4_t bits = vld1q_u32(kBits);
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    uint16x4_t words[4];
    std::uint32_t outside = 0;
    for (int part = 0; part < 4; ++part) {
      float32x4_t value = vmulq_f32(vld1q_f32(x + i + part * 4), inverse);
      const uint32x4_t above_lowest = vcgtq_f32(value, lowest);
      const uint32x4_t out = vorrq_u32(vcltq_f32(value, lowest), vcgtq_f32(value, highest));
      outside |= vaddvq_u32(vandq_u32(out, bits)) << (part * 4);
      value = vbslq_f32(above_lowest, value, lowest);  // of NaN as well
      value = vbslq_f32(vcltq_f32(value, highest), value, highest);
      words[part] = vqmovun_s32(vaddq_s32(vcvtnq_s32_f32(value), zero));
    }
    if (outliers != nullptr) outliers[i / 16] = static_cast<std::uint16_t>(outside);
    vst1q_u8(q + i, vcombine_u8(vqmovn_u16(vcombine_u16(words[0], words[1])),
                                vqmovn_u16(vcombine_u16(words[2], words[3]))));
  }
  if (i == count) return;
  EncodeScalar(code, x + i, count - i, q + i, outliers == nullptr ? nullptr : outliers + i / 16);
}

}  // namespace ondine::compute
