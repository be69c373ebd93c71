#ifndef ONDINE_SRC_FORMATS_ALIGN_H_
#define ONDINE_SRC_FORMATS_ALIGN_H_

#include <cstdint>

namespace ondine::formats {

// `offset` rounded up to a multiple of `alignment`, a power of two; offset stays below 2^63.
constexpr std::uint64_t AlignUp(std::uint64_t offset, std::uint64_t alignment) {
  return (offset + alignment - 1) & ~(alignment - 1);
}

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_ALIGN_H_
