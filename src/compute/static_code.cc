#include "compute/static_code.h"

#include <cmath>

#include "compute/cpu_features.h"

namespace ondine::compute {

void EncodeScalar(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q) {
  const float inverse = 1.0f / code.scale;
  const auto lowest = static_cast<float>(-code.zero);
  const auto highest = static_cast<float>(code.largest - code.zero);
  for (std::int64_t i = 0; i < count; ++i) {
    float value = x[i] * inverse;
    value = value > lowest ? value : lowest;  // NaN as well
    value = value < highest ? value : highest;
    q[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(std::nearbyint(value)) + code.zero);
  }
}

void Encode(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q) {
#if defined(__x86_64__)
  static const Encoder encode = HasAvx512() ? EncodeAvx512 : EncodeScalar;
#else
  constexpr Encoder encode = EncodeScalar;
#endif
  encode(code, x, count, q);
}

}  // namespace ondine::compute
