// The loops of activation_quants.h, for compilers to vectorise: each file that includes this
// compiles them for its own instruction set.
#ifndef ONDINE_SRC_COMPUTE_ACTIVATION_QUANTS_LOOPS_H_
#define ONDINE_SRC_COMPUTE_ACTIVATION_QUANTS_LOOPS_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

constexpr std::int64_t kBlock = 32;
// Bits of |x| order like |x| itself, and put infinities and NaNs on top.
constexpr std::uint32_t kMagnitude = 0x7fffffff;
constexpr std::uint32_t kInfinity = 0x7f800000;
// Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits of the float.
constexpr float kRounder = 12582912.0f;
constexpr std::int32_t kRounderBits = 0x4b400000;

inline void QuantizeBlock(const float* x, std::int8_t* quants, float* scale,
                          std::int32_t* half_sums) {
  std::uint32_t top = 0;
  for (std::int64_t i = 0; i < kBlock; ++i) {
    top = std::max(top, std::bit_cast<std::uint32_t>(x[i]) & kMagnitude);
  }
  const float largest = std::bit_cast<float>(top);
  const float inverse = 127.0f / largest;
  if (top >= kInfinity || !std::isfinite(inverse)) {
    // Not finite, or all zero, or below 2^-121: zero for every purpose.
    *scale = top >= kInfinity ? std::numeric_limits<float>::quiet_NaN() : 0.0f;
    std::fill_n(quants, kBlock, std::int8_t{0});
    half_sums[0] = half_sums[1] = 0;
    return;
  }
  *scale = largest / 127.0f;
  for (std::int64_t half = 0; half < 2; ++half) {
    std::int32_t sum = 0;
    for (std::int64_t i = half * 16; i < half * 16 + 16; ++i) {
      const std::int32_t q = std::bit_cast<std::int32_t>(x[i] * inverse + kRounder) - kRounderBits;
      quants[i] = static_cast<std::int8_t>(q);
      sum += q;
    }
    half_sums[half] = sum;
  }
}

inline void QuantizeRow(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                        std::int32_t* half_sums) {
  for (std::int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock(x + b * kBlock, quants + b * kBlock, scales + b, half_sums + b * 2);
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ACTIVATION_QUANTS_LOOPS_H_
