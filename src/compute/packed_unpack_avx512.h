// Codes and scales of one block of a panel, from storage (packed_weights.h) into vectors.
#ifndef ONDINE_SRC_COMPUTE_PACKED_UNPACK_AVX512_H_
#define ONDINE_SRC_COMPUTE_PACKED_UNPACK_AVX512_H_

#include <immintrin.h>

#include <cstdint>

#include "compute/packed_weights.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

inline __m512i LoadVector(const std::uint8_t* vectors, std::int64_t index) {
  return _mm512_loadu_si512(vectors + index * kVectorBytes);
}

// (bits << left or >> right) & mask, or'ed to `low`. Shifts move bits across bytes, but never into
// the masked ones.
template <int kLeft>
inline __m512i Insert(__m512i low, __m512i bits, int mask) {
  constexpr int kTernaryAOrBAndC = 0xf8;
  __m512i shifted = bits;
  if constexpr (kLeft > 0) shifted = _mm512_slli_epi16(bits, kLeft);
  if constexpr (kLeft < 0) shifted = _mm512_srli_epi16(bits, -kLeft);
  return _mm512_ternarylogic_epi32(low, shifted, _mm512_set1_epi8(static_cast<char>(mask)),
                                   kTernaryAOrBAndC);
}

template <int kGroup>
inline __m512i Nibble(const std::uint8_t* vectors) {
  __m512i v = LoadVector(vectors, kGroup % 4);
  if constexpr (kGroup >= 4) v = _mm512_srli_epi16(v, 4);
  return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

// Values (codes, or what the table says of them) of group kGroup of a block.
template <CodeKind kKind, int kGroup>
inline __m512i Values(const std::uint8_t* vectors, __m512i table) {
  constexpr int kPair = 2 * (kGroup % 4);
  if constexpr (kKind == CodeKind::k2 || kKind == CodeKind::k3) {
    __m512i v = LoadVector(vectors, kGroup / 4);
    if constexpr (kPair > 0) v = _mm512_srli_epi16(v, kPair);
    v = _mm512_and_si512(v, _mm512_set1_epi8(3));
    if constexpr (kKind == CodeKind::k3) v = Insert<2 - kGroup>(v, LoadVector(vectors, 2), 4);
    return v;
  } else if constexpr (kKind == CodeKind::k4) {
    return Nibble<kGroup>(vectors);
  } else if constexpr (kKind == CodeKind::k4Table) {
    return _mm512_shuffle_epi8(table, Nibble<kGroup>(vectors));
  } else if constexpr (kKind == CodeKind::k5) {
    return Insert<4 - kGroup>(Nibble<kGroup>(vectors), LoadVector(vectors, 4), 0x10);
  } else if constexpr (kKind == CodeKind::k6) {
    return Insert<4 - kPair>(Nibble<kGroup>(vectors), LoadVector(vectors, 4 + kGroup / 4), 0x30);
  } else {
    return LoadVector(vectors, kGroup);
  }
}

inline __m512i LoadTable(const PackedFormat& format) {
  if (format.table == nullptr) return _mm512_setzero_si512();
  return _mm512_broadcast_i32x4(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(format.table->data())));
}

inline __m512 LoadHalves(const std::uint8_t* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

inline __m512 LoadBytes(const std::uint8_t* at) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}

template <ScaleKind kKind>
struct VectorScales {
  static constexpr int kParts = ScalesPerBlock(kKind);
  __m512 scale[kParts];
  __m512 min[kParts];  // unset where the format has none
};

template <ScaleKind kKind>
inline VectorScales<kKind> LoadScales(const std::uint8_t* scales, std::int64_t block) {
  constexpr int kParts = ScalesPerBlock(kKind);
  constexpr bool kMin = HasMin(kKind);
  constexpr std::int64_t kHalves = kPanelRows * 2;
  VectorScales<kKind> result;
  if constexpr (IsSuper(kKind)) {
    const std::uint8_t* at = scales + block / PackedFormat::kBlocksPerSuper * ScaleBytes(kKind);
    const std::uint8_t* sub =
        at + (kMin ? 2 : 1) * kHalves +
        block % PackedFormat::kBlocksPerSuper * (kMin ? 2 : 1) * kParts * kPanelRows;
    const __m512 scale = LoadHalves(at);
    for (int i = 0; i < kParts; ++i) {
      result.scale[i] = _mm512_mul_ps(scale, LoadBytes(sub + i * kPanelRows));
    }
    if constexpr (kMin) {
      const __m512 min = _mm512_sub_ps(_mm512_setzero_ps(), LoadHalves(at + kHalves));
      for (int i = 0; i < kParts; ++i) {
        result.min[i] = _mm512_mul_ps(min, LoadBytes(sub + (kParts + i) * kPanelRows));
      }
    }
  } else if constexpr (kKind == ScaleKind::kBFloat16) {
    result.scale[0] = _mm512_castsi512_ps(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales + block * kHalves))),
        16));
  } else {
    const std::uint8_t* at = scales + block * ScaleBytes(kKind);
    for (int i = 0; i < kParts; ++i) result.scale[i] = LoadHalves(at + i * kHalves);
    if constexpr (kMin) result.min[0] = LoadHalves(at + kHalves);
  }
  return result;
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_PACKED_UNPACK_AVX512_H_
