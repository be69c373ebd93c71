#include "compute/codebook_types.h"

#include <ggml.h>

#include <algorithm>
#include <cmath>

namespace ondine::compute {
namespace {

using formats::TensorType;

constexpr int kElements = 256;
constexpr int kTableOffset = 128;

// The integers that entries of a codebook consist of, ascending; what is left of 16 is not used.
constexpr std::array<std::uint8_t, 16> Table(const std::array<int, 16>& values) {
  std::array<std::uint8_t, 16> result{};
  for (int i = 0; i < 16; ++i) result[i] = static_cast<std::uint8_t>(values[i] + kTableOffset);
  return result;
}
constexpr auto kIQ3S = Table({-15, -13, -11, -9, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11, 13, 15});
constexpr auto kIQ3XXS =
    Table({-62, -52, -44, -36, -28, -20, -12, -4, 4, 12, 20, 28, 36, 44, 52, 62});
constexpr auto kIQ2 = Table({-43, -25, -8, 8, 25, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43});
// Eight times -1, 0 or 1 with a shift of 1/8 up or down.
constexpr auto kIQ1 = Table({-9, -7, -1, 1, 7, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9});

std::uint8_t Byte(const std::byte* at, int i) {
  return static_cast<std::uint8_t>(at[i]);
}
std::uint16_t Half(const std::byte* at, int i) {
  return static_cast<std::uint16_t>(Byte(at, i) | Byte(at, i + 1) << 8);
}
int Nibble(std::uint8_t byte, int half) {
  return half == 0 ? byte & 15 : byte >> 4;
}

// w = scale * sub_scale / denominator * entry; sub scales for each 16 elements.
struct Scales {
  std::uint16_t scale;  // a 16-bit float
  int sub[kElements / 16];
  int denominator;
};

// Odd factors of 32 or 16 elements, 2 s + 1, with s of 4 bits (IQ2, IQ3) or 3 (IQ1).
Scales ReadScales(TensorType type, const std::byte* at) {
  Scales out = {Half(at, 0), {}, 1};
  const auto set = [&](int part, int s) { out.sub[part] = 2 * s + 1; };
  const auto set_pair = [&](int block, int s) {
    set(2 * block, s);
    set(2 * block + 1, s);
  };
  switch (type) {
    case TensorType::kIQ3_S:
      for (int b = 0; b < 8; ++b) set_pair(b, Nibble(Byte(at, 106 + b / 2), b % 2));
      break;
    case TensorType::kIQ3_XXS:
      out.denominator = 4;
      for (int b = 0; b < 8; ++b) set_pair(b, Byte(at, 66 + 4 * b + 3) >> 4);
      break;
    case TensorType::kIQ2_XXS:
      out.denominator = 8;
      for (int b = 0; b < 8; ++b) set_pair(b, Byte(at, 2 + 8 * b + 7) >> 4);
      break;
    case TensorType::kIQ2_XS:
    case TensorType::kIQ2_S: {
      out.denominator = 8;
      const int scales = type == TensorType::kIQ2_XS ? 66 : 74;
      for (int p = 0; p < 16; ++p) set(p, Nibble(Byte(at, scales + p / 2), p % 2));
      break;
    }
    case TensorType::kIQ1_S:
      out.denominator = 8;
      for (int b = 0; b < 8; ++b) set_pair(b, Half(at, 34 + 2 * b) >> 12 & 7);
      break;
    case TensorType::kIQ1_M:
      // Four words: 12 bits of factors each, and 4 bits of the scale.
      out.denominator = 8;
      out.scale = 0;
      for (int i = 0; i < 4; ++i) {
        const int word = Half(at, 48 + 2 * i);
        out.scale = static_cast<std::uint16_t>(out.scale | word >> 12 << (4 * i));
        for (int k = 0; k < 4; ++k) set(4 * i + k, word >> (3 * k) & 7);
      }
      break;
    case TensorType::kTQ1_0:
    case TensorType::kTQ2_0:
      out.scale = Half(at, type == TensorType::kTQ1_0 ? 52 : 64);
      std::fill(std::begin(out.sub), std::end(out.sub), 1);
      break;
    default: break;
  }
  return out;
}

// Of a weight in units of its scale: an integer of the format, but for rounding.
std::uint8_t FindCode(const PackedFormat& format, float value) {
  const float most = format.table == nullptr ? 3 : 255;
  const auto entry = static_cast<std::uint8_t>(
      std::clamp(std::round(value) + static_cast<float>(format.offset), 0.0f, most));
  if (format.table == nullptr) return entry;
  const auto found = std::lower_bound(format.table->begin(), format.table->end() - 1, entry);
  return static_cast<std::uint8_t>(found - format.table->begin());
}

}  // namespace

std::optional<PackedFormat> FindCodebookFormat(TensorType type) {
  using C = CodeKind;
  using S = ScaleKind;
  switch (type) {
    case TensorType::kIQ3_S: return PackedFormat{C::k4Table, S::kSuper, kTableOffset, &kIQ3S};
    case TensorType::kIQ3_XXS: return PackedFormat{C::k4Table, S::kSuper, kTableOffset, &kIQ3XXS};
    case TensorType::kIQ2_XXS: return PackedFormat{C::k4Table, S::kSuper, kTableOffset, &kIQ2};
    case TensorType::kIQ2_XS:
    case TensorType::kIQ2_S: return PackedFormat{C::k4Table, S::kSuperPair, kTableOffset, &kIQ2};
    case TensorType::kIQ1_S: return PackedFormat{C::k4Table, S::kSuper, kTableOffset, &kIQ1};
    case TensorType::kIQ1_M: return PackedFormat{C::k4Table, S::kSuperPair, kTableOffset, &kIQ1};
    case TensorType::kTQ1_0:
    case TensorType::kTQ2_0: return PackedFormat{C::k2, S::kSuper, 1};
    default: return std::nullopt;
  }
}

// The codebooks are ggml's: it says what the weights are, and the scales say what was looked up.
void ReadCodebookBlocks(TensorType type, const std::byte* at, StoredBlock* out) {
  const PackedFormat format = *FindCodebookFormat(type);
  const Scales scales = ReadScales(type, at);
  float weights[kElements];
  ggml_get_type_traits(static_cast<ggml_type>(type))->to_float(at, weights, kElements);
  const float scale = ggml_fp16_to_fp32(scales.scale) / static_cast<float>(scales.denominator);
  for (int i = 0; i < kElements; ++i) {
    StoredBlock& block = out[i / PackedFormat::kBlock];
    const int part = i / 16;
    const float unit = scale * static_cast<float>(scales.sub[part]);
    const bool usable = unit != 0 && std::isfinite(weights[i] / unit);
    block.codes[i % PackedFormat::kBlock] = FindCode(format, usable ? weights[i] / unit : 0);
    block.scale[0] = ggml_fp32_to_fp16(scale);
    block.sub_scale[part % 2] = static_cast<std::int8_t>(scales.sub[part]);
  }
}

}  // namespace ondine::compute
