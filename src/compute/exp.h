// e^x for loops that compilers vectorise.
#ifndef ONDINE_SRC_COMPUTE_EXP_H_
#define ONDINE_SRC_COMPUTE_EXP_H_

#include <bit>
#include <cstdint>

namespace ondine::compute {
// Deliberately unnamed: files compiled for different instruction sets need functions of their own.
namespace {  // NOLINT(google-build-namespaces)

// e^x to about 1e-7 relative; x is held between -87 and 88. Cephes' reduction: x = n ln2 + r, a
// polynomial for e^r, n into the exponent.
inline float Exp(float x) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the float.
  constexpr float kRounder = 12582912.0f;
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float shifted = x * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_EXP_H_
