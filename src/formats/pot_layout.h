// Numbers of the .pot format that its reader and its writer share.
#ifndef ONDINE_SRC_FORMATS_POT_LAYOUT_H_
#define ONDINE_SRC_FORMATS_POT_LAYOUT_H_

#include <bit>
#include <cstdint>
#include <string_view>

namespace ondine::formats {

static_assert(std::endian::native == std::endian::little,
              ".pot files are little endian and are mapped, not converted");

inline constexpr std::string_view kPotMagic = "ONDN-POT";
inline constexpr std::uint32_t kPotVersion = 1;
// Magic (8), version (4), a zero (4), lengths of the file (8) and of the header (8).
inline constexpr std::uint64_t kPotPreamble = 32;
inline constexpr std::uint64_t kPotChecksumSize = 8;
// A header is read into memory: this bounds what a hostile one can take.
inline constexpr std::uint64_t kPotLargestHeader = std::uint64_t{64} << 20;

enum class PotType : std::uint8_t { kString = 0, kInt = 1, kNumber = 2, kBool = 3 };

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_POT_LAYOUT_H_
