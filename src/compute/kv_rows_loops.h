// The loops of kv_rows.h, for compilers to vectorise: each file that includes this compiles them
// for its own instruction set.
#ifndef ONDINE_SRC_COMPUTE_KV_ROWS_LOOPS_H_
#define ONDINE_SRC_COMPUTE_KV_ROWS_LOOPS_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "compute/kv_rows.h"

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

// Branch-free, so that loops over it become vector code. Rounds to nearest even and clamps to the
// largest finite half; NaN stays NaN.
inline std::uint16_t HalfFromFloat(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Adding 0.5, whose last place is the step of subnormal halves, makes the addition round.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  std::uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477fe000u ? 0x7bffu : half;
  half = magnitude > 0x7f800000u ? 0x7e00u : half;
  return static_cast<std::uint16_t>(sign | half);
}

inline float FloatFromHalf(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = (half & 0x7fffu) << 13;
  // The multiplication moves the exponent and turns subnormal halves into normal floats.
  const float value = std::bit_cast<float>(magnitude) * 0x1p112f;
  const std::uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | special | sign);
}

inline float LoadHalf(const std::byte* from) {
  std::uint16_t half;
  std::memcpy(&half, from, sizeof(half));
  return FloatFromHalf(half);
}

inline float StoreHalf(float value, std::byte* to) {
  const std::uint16_t half = HalfFromFloat(value);
  std::memcpy(to, &half, sizeof(half));
  return FloatFromHalf(half);
}

// Unlike std::clamp, makes `low` of a NaN, which must not reach a conversion to an integer.
inline float Clamp(float x, float low, float high) {
  return std::min(std::max(low, x), high);
}

inline void EncodeF16(const float* values, int dim, std::byte* row) {
  for (int i = 0; i < dim; ++i) {
    const std::uint16_t half = HalfFromFloat(values[i]);
    std::memcpy(row + 2 * i, &half, sizeof(half));
  }
}

inline void DecodeF16(const std::byte* row, int dim, float* values) {
  for (int i = 0; i < dim; ++i) values[i] = LoadHalf(row + 2 * i);
}

inline void EncodeQ8(const float* values, int dim, std::byte* row) {
  for (int b = 0; b < dim / kKvBlock; ++b) {
    const float* x = values + b * kKvBlock;
    float largest = 0;
    for (int i = 0; i < kKvBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
    // Quants refer to the scale as it is stored, rounded.
    const float scale = StoreHalf(largest / 127, row + dim + 2 * b);
    const float inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < kKvBlock; ++i) {
      const float quant = std::nearbyint(Clamp(x[i] * inverse, -127.0f, 127.0f));
      row[b * kKvBlock + i] = static_cast<std::byte>(static_cast<std::int8_t>(quant));
    }
  }
}

inline void DecodeQ8(const std::byte* row, int dim, float* values) {
  for (int b = 0; b < dim / kKvBlock; ++b) {
    const float scale = LoadHalf(row + dim + 2 * b);
    for (int i = b * kKvBlock; i < (b + 1) * kKvBlock; ++i) {
      values[i] = scale * static_cast<float>(static_cast<std::int8_t>(row[i]));
    }
  }
}

inline void EncodeQ4(const float* values, int dim, std::byte* row) {
  constexpr int kHalf = kKvBlock / 2;
  for (int b = 0; b < dim / kKvBlock; ++b) {
    const float* x = values + b * kKvBlock;
    // The element of the largest magnitude becomes -8, the end of the range that reaches further.
    float extreme = 0;
    for (int i = 0; i < kKvBlock; ++i) {
      if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    }
    const float scale = StoreHalf(extreme / -8, row + dim / 2 + 2 * b);
    const float inverse = scale != 0 ? 1 / scale : 0;
    const auto quant = [&](int i) {
      return static_cast<unsigned>(Clamp(x[i] * inverse + 8.5f, 0.0f, 15.0f));
    };
    for (int i = 0; i < kHalf; ++i) {
      row[b * kHalf + i] = static_cast<std::byte>(quant(i) | quant(i + kHalf) << 4);
    }
  }
}

inline void DecodeQ4(const std::byte* row, int dim, float* values) {
  constexpr int kHalf = kKvBlock / 2;
  for (int b = 0; b < dim / kKvBlock; ++b) {
    const float scale = LoadHalf(row + dim / 2 + 2 * b);
    for (int i = 0; i < kHalf; ++i) {
      const auto pair = static_cast<int>(row[b * kHalf + i]);
      values[b * kKvBlock + i] = scale * static_cast<float>((pair & 15) - 8);
      values[b * kKvBlock + i + kHalf] = scale * static_cast<float>((pair >> 4) - 8);
    }
  }
}

inline void Encode(KvType type, const float* values, int dim, std::byte* row) {
  switch (type) {
    case KvType::kF16: return EncodeF16(values, dim, row);
    case KvType::kQ8_0: return EncodeQ8(values, dim, row);
    case KvType::kQ4_0: return EncodeQ4(values, dim, row);
  }
}

inline void Decode(KvType type, const std::byte* row, int dim, float* values) {
  switch (type) {
    case KvType::kF16: return DecodeF16(row, dim, values);
    case KvType::kQ8_0: return DecodeQ8(row, dim, values);
    case KvType::kQ4_0: return DecodeQ4(row, dim, values);
  }
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_KV_ROWS_LOOPS_H_
