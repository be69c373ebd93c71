// Parts of vectors of 16 numbers, and their integer products.
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

// sum += dot products of four numbers of 8 bits a lane, those of `a` without and of `b` with a
// sign; or of two of 16 bits. For loops over a tile's products: with _mm512_dpbusd_epi32 and
// _mm512_dpwssd_epi32 GCC 12 keeps a second copy of the sums, written in every step.
inline void AddByteProducts(__m512i& sum, __m512i a, __m512i b) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}
inline void AddPairProducts(__m512i& sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LANES_AVX512_H_
