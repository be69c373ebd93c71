// Numbers of the GGUF format that its reader and its writer share.
#ifndef ONDINE_SRC_FORMATS_GGUF_LAYOUT_H_
#define ONDINE_SRC_FORMATS_GGUF_LAYOUT_H_

#include <bit>
#include <cstdint>
#include <string_view>

namespace ondine::formats {

static_assert(std::endian::native == std::endian::little,
              "GGUF files are little endian and are mapped, not converted");

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::string_view kAlignmentKey = "general.alignment";
inline constexpr std::uint64_t kDefaultAlignment = 32;

enum class GgufType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// The format asks for a multiple of 8; a power of two is what ggml accepts, and more than 64 KiB
// would be padding without a purpose.
constexpr bool IsSaneAlignment(std::uint64_t alignment) {
  return std::has_single_bit(alignment) && alignment >= 8 && alignment <= 65536;
}

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_GGUF_LAYOUT_H_
