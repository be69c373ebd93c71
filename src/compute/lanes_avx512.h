// Parts of vectors of 16 numbers.
#ifndef ONDINE_SRC_COMPUTE_LANES_AVX512_H_
#define ONDINE_SRC_COMPUTE_LANES_AVX512_H_

#include <immintrin.h>

#include <cstdint>

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

// The first `left` lanes, or all where there are more.
inline __mmask16 FirstLanes(std::int64_t left) {
  return static_cast<__mmask16>(left >= 16 ? 0xffff : (1 << left) - 1);
}

// Four bytes in every lane, as dot products of bytes take them.
inline __m512i FourBytes(const void* bytes) {
  std::int32_t four;
  __builtin_memcpy(&four, bytes, 4);
  return _mm512_set1_epi32(four);
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LANES_AVX512_H_
