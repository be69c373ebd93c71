#include "compute/packed_format.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "compute/codebook_types.h"

namespace ondine::compute {
namespace {

using formats::TensorType;

constexpr int kSignedOffset = 128;  // makes a signed byte unsigned

constexpr std::array<std::uint8_t, 16> Unsigned(const std::array<int, 16>& values) {
  std::array<std::uint8_t, 16> result{};
  for (int i = 0; i < 16; ++i) result[i] = static_cast<std::uint8_t>(values[i] + kSignedOffset);
  return result;
}
// The non-linear grid of IQ4_NL and IQ4_XS, and twice the values of a 4-bit float (E2M1).
constexpr auto kGrid4 =
    Unsigned({-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113});
constexpr auto kFloat4 = Unsigned({0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12});

class Bytes {
 public:
  explicit Bytes(const std::byte* data) : data_(data) {}
  std::uint8_t operator[](std::int64_t i) const { return static_cast<std::uint8_t>(data_[i]); }
  std::uint16_t Half(std::int64_t i) const {
    return static_cast<std::uint16_t>((*this)[i] | (*this)[i + 1] << 8);
  }

 private:
  const std::byte* data_;
};

std::uint8_t Byte(int value) {
  return static_cast<std::uint8_t>(value);
}
std::int8_t Signed(int value) {
  return static_cast<std::int8_t>(value);
}

// 16 bytes: elements 0..15 in the low halves, 16..31 in the high ones.
void ReadNibbles(const std::byte* at, StoredBlock& out) {
  const Bytes quants(at);
  for (int i = 0; i < 16; ++i) {
    out.codes[i] = quants[i] & 15;
    out.codes[i + 16] = quants[i] >> 4;
  }
}

// 4 bytes: bit i is the fifth bit of element i.
void ReadFifthBits(const std::byte* at, StoredBlock& out) {
  std::uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= std::uint32_t{Bytes(at)[i]} << (8 * i);
  for (int i = 0; i < 32; ++i) out.codes[i] |= Byte((bits >> i & 1) << 4);
}

// The 6-bit scales and minimums of Q4_K and Q5_K: 8 + 8 of them in 12 bytes.
void ReadSixBitScales(const Bytes& packed, int block, StoredBlock& out) {
  if (block < 4) {
    out.sub_scale[0] = Signed(packed[block] & 63);
    out.sub_min[0] = Signed(packed[block + 4] & 63);
  } else {
    out.sub_scale[0] = Signed((packed[block + 4] & 15) | (packed[block - 4] >> 6) << 4);
    out.sub_min[0] = Signed(packed[block + 4] >> 4 | (packed[block] >> 6) << 4);
  }
}

// 32 bytes serve two blocks (4-bit) or four (2-bit) in turn.
void ReadInterleaved(const Bytes& quants, int block, int bits, StoredBlock& out) {
  const int per_byte = 8 / bits;
  const int shift = block % per_byte * bits;
  for (int i = 0; i < 32; ++i) {
    out.codes[i] = Byte(quants[block / per_byte * 32 + i] >> shift & ((1 << bits) - 1));
  }
}

void ReadQ2K(const std::byte* at, int block, StoredBlock& out) {
  const Bytes bytes(at);
  for (int half = 0; half < 2; ++half) {
    out.sub_scale[half] = Signed(bytes[block * 2 + half] & 15);
    out.sub_min[half] = Signed(bytes[block * 2 + half] >> 4);
  }
  ReadInterleaved(Bytes(at + 16), block, 2, out);
  out.scale[0] = bytes.Half(80);
  out.min[0] = bytes.Half(82);
}

void ReadQ3K(const std::byte* at, int block, StoredBlock& out) {
  const Bytes third_bits(at), packed(at + 96);
  ReadInterleaved(Bytes(at + 32), block, 2, out);
  for (int i = 0; i < 32; ++i) out.codes[i] |= Byte((third_bits[i] >> block & 1) << 2);
  for (int half = 0; half < 2; ++half) {
    // 16 scales of 6 bits in 12 bytes: low 4 bits in the first 8, high 2 bits in the last 4.
    const int i = block * 2 + half;
    const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
    const int high = packed[8 + i % 4] >> (i / 4 * 2) & 3;
    out.sub_scale[half] = Signed((low | high << 4) - 32);
  }
  out.scale[0] = Bytes(at).Half(108);
}

void ReadQ4K(const std::byte* at, int block, StoredBlock& out) {
  out.scale[0] = Bytes(at).Half(0);
  out.min[0] = Bytes(at).Half(2);
  ReadSixBitScales(Bytes(at + 4), block, out);
  ReadInterleaved(Bytes(at + 16), block, 4, out);
}

void ReadQ5K(const std::byte* at, int block, StoredBlock& out) {
  out.scale[0] = Bytes(at).Half(0);
  out.min[0] = Bytes(at).Half(2);
  ReadSixBitScales(Bytes(at + 4), block, out);
  ReadInterleaved(Bytes(at + 48), block, 4, out);
  const Bytes fifth_bits(at + 16);
  for (int i = 0; i < 32; ++i) out.codes[i] |= Byte((fifth_bits[i] >> block & 1) << 4);
}

void ReadQ6K(const std::byte* at, int block, StoredBlock& out) {
  // Each half of the super block has 64 bytes of low and 32 bytes of high bits.
  const int half = block / 4, quarter = block % 4;
  const Bytes low(at + half * 64), high(at + 128 + half * 32), scales(at + 192);
  for (int i = 0; i < 32; ++i) {
    const int nibble = low[quarter % 2 * 32 + i] >> (quarter / 2 * 4) & 15;
    out.codes[i] = Byte(nibble | (high[i] >> (quarter * 2) & 3) << 4);
  }
  for (int i = 0; i < 2; ++i) {
    out.sub_scale[i] = std::bit_cast<std::int8_t>(scales[block * 2 + i]);
  }
  out.scale[0] = Bytes(at).Half(208);
}

void ReadIQ4XS(const std::byte* at, int block, StoredBlock& out) {
  const Bytes bytes(at);
  const int low = bytes[4 + block / 2] >> (block % 2 * 4) & 15;
  const int high = bytes.Half(2) >> (block * 2) & 3;
  out.scale[0] = bytes.Half(0);
  out.sub_scale[0] = Signed((low | high << 4) - 32);
  ReadNibbles(at + 8 + block * 16, out);
}

// The exponent of MXFP4's blocks (2^(e - 127)), halved because kFloat4 is doubled, as a bfloat16.
std::uint16_t HalvedPowerOfTwo(std::uint8_t e) {
  if (e == 255) return 0x7fc0;  // NaN
  return static_cast<std::uint16_t>(e < 2 ? 0x20 << e : (e - 1) << 7);
}

// An unsigned 8-bit float (E4M3) of NVFP4, halved for the same reason, as a 16-bit one.
std::uint16_t HalvedFloat8(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if ((bits & 0x7f) == 0x7f) return 0;
  if (exponent > 0) return static_cast<std::uint16_t>((exponent + 7) << 10 | mantissa << 7);
  if (mantissa == 0) return 0;
  const int top = std::bit_width(static_cast<unsigned>(mantissa)) - 1;
  return static_cast<std::uint16_t>((top + 5) << 10 | (mantissa << (10 - top) & 0x3ff));
}

void ReadNVFP4(const std::byte* at, int block, StoredBlock& out) {
  for (int half = 0; half < 2; ++half) {
    const int part = block * 2 + half;
    out.scale[half] = HalvedFloat8(Bytes(at)[part]);
    const Bytes quants(at + 4 + part * 8);
    for (int i = 0; i < 8; ++i) {
      out.codes[half * 16 + i] = quants[i] & 15;
      out.codes[half * 16 + i + 8] = quants[i] >> 4;
    }
  }
}

}  // namespace

std::optional<PackedFormat> FindPackedFormat(TensorType type) {
  using C = CodeKind;
  using S = ScaleKind;
  switch (type) {
    case TensorType::kQ4_0: return PackedFormat{C::k4, S::kHalf, 8};
    case TensorType::kQ4_1: return PackedFormat{C::k4, S::kHalfMin, 0};
    case TensorType::kQ5_0: return PackedFormat{C::k5, S::kHalf, 16};
    case TensorType::kQ5_1: return PackedFormat{C::k5, S::kHalfMin, 0};
    case TensorType::kQ8_0: return PackedFormat{C::k8, S::kHalf, kSignedOffset};
    case TensorType::kQ2_K: return PackedFormat{C::k2, S::kSuperPairMin, 0};
    case TensorType::kQ3_K: return PackedFormat{C::k3, S::kSuperPair, 4};
    case TensorType::kQ4_K: return PackedFormat{C::k4, S::kSuperMin, 0};
    case TensorType::kQ5_K: return PackedFormat{C::k5, S::kSuperMin, 0};
    case TensorType::kQ6_K: return PackedFormat{C::k6, S::kSuperPair, 32};
    case TensorType::kIQ4_NL: return PackedFormat{C::k4Table, S::kHalf, kSignedOffset, &kGrid4};
    case TensorType::kIQ4_XS: return PackedFormat{C::k4Table, S::kSuper, kSignedOffset, &kGrid4};
    case TensorType::kMXFP4: return PackedFormat{C::k4Table, S::kBFloat16, kSignedOffset, &kFloat4};
    case TensorType::kNVFP4: return PackedFormat{C::k4Table, S::kHalfPair, kSignedOffset, &kFloat4};
    default: return FindCodebookFormat(type);
  }
}

void ReadStoredBlocks(TensorType type, const std::byte* at, StoredBlock* out) {
  const auto each = [at, out](int parts, auto read) {
    for (int part = 0; part < parts; ++part) read(at, part, out[part]);
  };
  constexpr int kParts = static_cast<int>(PackedFormat::kBlocksPerSuper);
  switch (type) {
    case TensorType::kQ4_0:
    case TensorType::kIQ4_NL:
      out->scale[0] = Bytes(at).Half(0);
      ReadNibbles(at + 2, *out);
      break;
    case TensorType::kQ4_1:
      out->scale[0] = Bytes(at).Half(0);
      out->min[0] = Bytes(at).Half(2);
      ReadNibbles(at + 4, *out);
      break;
    case TensorType::kQ5_0:
      out->scale[0] = Bytes(at).Half(0);
      ReadNibbles(at + 6, *out);
      ReadFifthBits(at + 2, *out);
      break;
    case TensorType::kQ5_1:
      out->scale[0] = Bytes(at).Half(0);
      out->min[0] = Bytes(at).Half(2);
      ReadNibbles(at + 8, *out);
      ReadFifthBits(at + 4, *out);
      break;
    case TensorType::kQ8_0:
      out->scale[0] = Bytes(at).Half(0);
      for (int i = 0; i < 32; ++i) out->codes[i] = Bytes(at)[2 + i] ^ 0x80;
      break;
    case TensorType::kMXFP4:
      out->scale[0] = HalvedPowerOfTwo(Bytes(at)[0]);
      ReadNibbles(at + 1, *out);
      break;
    case TensorType::kNVFP4: each(2, ReadNVFP4); break;
    case TensorType::kQ2_K: each(kParts, ReadQ2K); break;
    case TensorType::kQ3_K: each(kParts, ReadQ3K); break;
    case TensorType::kQ4_K: each(kParts, ReadQ4K); break;
    case TensorType::kQ5_K: each(kParts, ReadQ5K); break;
    case TensorType::kQ6_K: each(kParts, ReadQ6K); break;
    case TensorType::kIQ4_XS: each(kParts, ReadIQ4XS); break;
    default: ReadCodebookBlocks(type, at, out);
  }
}

}  // namespace ondine::compute
