// Codes and scales of one block of a panel, from storage (packed_weights.h) into vectors, for each
// instruction set that includes this. `Lanes` names its vectors and their operations:
// lanes_avx512.h, lanes_avx2.h. A panel's 16 rows are one vector of it, or several.
#ifndef ONDINE_SRC_COMPUTE_PACKED_UNPACK_H_
#define ONDINE_SRC_COMPUTE_PACKED_UNPACK_H_

#include <cstdint>

#include "compute/packed_weights.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

// Values (codes, or what the table says of them) of group kGroup of a block, for the rows of the
// panel's vector `part`.
template <typename Lanes, CodeKind kKind>
class BlockValues {
 public:
  BlockValues(const std::uint8_t* codes, int part)
      : codes_(codes + part * static_cast<int>(sizeof(typename Lanes::Integers))) {}

  template <int kGroup>
  typename Lanes::Integers Get(typename Lanes::Integers table) const {
    constexpr int kPair = 2 * (kGroup % 4);
    if constexpr (kKind == CodeKind::k2) {
      return TwoBits<kGroup>();
    } else if constexpr (kKind == CodeKind::k3) {
      return Lanes::template Insert<2 - kGroup>(TwoBits<kGroup>(), Vector(2), 4);
    } else if constexpr (kKind == CodeKind::k4) {
      return Nibble<kGroup>();
    } else if constexpr (kKind == CodeKind::k4Table) {
      return Lanes::Lookup(table, Nibble<kGroup>());
    } else if constexpr (kKind == CodeKind::k5) {
      return Lanes::template Insert<4 - kGroup>(Nibble<kGroup>(), Vector(4), 0x10);
    } else if constexpr (kKind == CodeKind::k6) {
      return Lanes::template Insert<4 - kPair>(Nibble<kGroup>(), Vector(4 + kGroup / 4), 0x30);
    } else {
      return Vector(kGroup);
    }
  }

 private:
  typename Lanes::Integers Vector(int index) const {
    return Lanes::LoadIntegers(codes_ + index * kVectorBytes);
  }
  template <int kGroup>
  typename Lanes::Integers TwoBits() const {
    return Lanes::template Extract<2 * (kGroup % 4)>(Vector(kGroup / 4), 3);
  }
  template <int kGroup>
  typename Lanes::Integers Nibble() const {
    return Lanes::template Extract<kGroup / 4 * 4>(Vector(kGroup % 4), 15);
  }

  const std::uint8_t* codes_;
};

template <typename Lanes, ScaleKind kKind>
struct VectorScales {
  static constexpr int kParts = ScalesPerBlock(kKind);
  typename Lanes::Floats scale[kParts];
  typename Lanes::Floats min[kParts];  // unset where the format has none
};

// Of the rows of the panel's vector `part`.
template <typename Lanes, ScaleKind kKind>
inline VectorScales<Lanes, kKind> LoadScales(const std::uint8_t* scales, std::int64_t block,
                                             int part) {
  constexpr int kParts = ScalesPerBlock(kKind);
  constexpr bool kMin = HasMin(kKind);
  constexpr std::int64_t kHalves = kPanelRows * 2;
  const std::int64_t row = part * Lanes::kCount;
  VectorScales<Lanes, kKind> result;
  if constexpr (IsSuper(kKind)) {
    const std::uint8_t* at = scales + block / PackedFormat::kBlocksPerSuper * ScaleBytes(kKind);
    const std::uint8_t* sub =
        at + (kMin ? 2 : 1) * kHalves +
        block % PackedFormat::kBlocksPerSuper * (kMin ? 2 : 1) * kParts * kPanelRows + row;
    const auto scale = Lanes::LoadHalves(at + row * 2);
    for (int i = 0; i < kParts; ++i) {
      result.scale[i] = Lanes::Multiply(scale, Lanes::LoadSignedBytes(sub + i * kPanelRows));
    }
    if constexpr (kMin) {
      const auto min = Lanes::Subtract(Lanes::Set(0.0f), Lanes::LoadHalves(at + kHalves + row * 2));
      for (int i = 0; i < kParts; ++i) {
        result.min[i] =
            Lanes::Multiply(min, Lanes::LoadSignedBytes(sub + (kParts + i) * kPanelRows));
      }
    }
  } else if constexpr (kKind == ScaleKind::kBFloat16) {
    result.scale[0] = Lanes::LoadBFloat16s(scales + block * kHalves + row * 2);
  } else {
    const std::uint8_t* at = scales + block * ScaleBytes(kKind) + row * 2;
    for (int i = 0; i < kParts; ++i) result.scale[i] = Lanes::LoadHalves(at + i * kHalves);
    if constexpr (kMin) result.min[0] = Lanes::LoadHalves(at + kHalves);
  }
  return result;
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_PACKED_UNPACK_H_
