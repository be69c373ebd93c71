#include "compute/static_code.h"

#include <algorithm>
#include <cmath>

#include "compute/cpu_features.h"

namespace ondine::compute {

float Excess(const StaticCode& code, float x) {
  const float value = x * (1.0f / code.scale);
  const auto lowest = static_cast<float>(-code.zero);
  const auto highest = static_cast<float>(code.largest - code.zero);
  return std::clamp(value - (value < lowest ? lowest : highest), -kLargestExcess, kLargestExcess);
}

void EncodeScalar(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                  std::uint16_t* outliers) {
  const float inverse = 1.0f / code.scale;
  const auto lowest = static_cast<float>(-code.zero);
  const auto highest = static_cast<float>(code.largest - code.zero);
  if (outliers != nullptr) std::fill_n(outliers, (count + 15) / 16, std::uint16_t{0});
  for (std::int64_t i = 0; i < count; ++i) {
    float value = x[i] * inverse;
    if (outliers != nullptr && (value < lowest || value > highest)) {
      outliers[i / 16] = static_cast<std::uint16_t>(outliers[i / 16] | 1 << i % 16);
    }
    value = value > lowest ? value : lowest;  // NaN as well
    value = value < highest ? value : highest;
    q[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(std::nearbyint(value)) + code.zero);
  }
}

void Encode(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
            std::uint16_t* outliers) {
#if defined(__x86_64__)
  static const Encoder encode = HasAvx512() ? EncodeAvx512 : HasAvx2() ? EncodeAvx2 : EncodeScalar;
#elif defined(__aarch64__)
  static const Encoder encode = HasNeon() ? EncodeNeon : EncodeScalar;
#else
  constexpr Encoder encode = EncodeScalar;
#endif
  encode(code, x, count, q, outliers);
}

}  // namespace ondine::compute
