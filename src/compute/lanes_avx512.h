// Vectors of 16 numbers of 32 bits, and what the kernels do with them.
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

// sum += dot products of four numbers of 8 bits a lane, those of `a` without and of `b` with a
// sign; or of two of 16 bits. For loops over a tile's products: with _mm512_dpbusd_epi32 and
// _mm512_dpwssd_epi32 GCC 12 keeps a second copy of the sums, written in every step.
inline void AddByteProducts(__m512i& sum, __m512i a, __m512i b) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}
inline void AddPairProducts(__m512i& sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

// What kernels that are written once for all instruction sets know vectors by. lanes_avx2.h has the
// same for vectors of 8.
struct Avx512Lanes {
  static constexpr int kCount = 16;
  using Floats = __m512;
  using Integers = __m512i;  // of 32 bits, or four bytes in each place

  static Floats Set(float x) { return _mm512_set1_ps(x); }
  static Floats Load(const float* from) { return _mm512_loadu_ps(from); }
  static void Store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
  // The first `left` places, or all where there are more; others are zeros, or not written. Known
  // before a tile's loop begins, for where it is worked out behind it, GCC 12 moves the loop's sums
  // about.
  using Part = __mmask16;
  static Part First(std::int64_t left) { return FirstLanes(left); }
  static Floats LoadPart(const float* from, Part part) { return _mm512_maskz_loadu_ps(part, from); }
  static void StorePart(float* to, Floats x, Part part) { _mm512_mask_storeu_ps(to, part, x); }
  static Floats Subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats Multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
  static Floats ToFloats(Integers x) { return _mm512_cvtepi32_ps(x); }
  static Floats AsFloats(Integers bits) { return _mm512_castsi512_ps(bits); }

  static Floats LoadHalves(const void* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
  }
  static Floats LoadBFloat16s(const void* from) {
    const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(from));
    return AsFloats(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  // Of pairs of BF16 numbers.
  static Floats EvenBFloat16s(Integers pairs) { return AsFloats(_mm512_slli_epi32(pairs, 16)); }
  static Floats OddBFloat16s(Integers pairs) {
    const Integers mask = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    return AsFloats(_mm512_and_si512(pairs, mask));
  }
  static Floats LoadSignedBytes(const void* from) {
    return ToFloats(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(from))));
  }

  static Integers SetIntegers(std::int32_t x) { return _mm512_set1_epi32(x); }
  static Integers SetBytes(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
  static Integers SubtractBytes(Integers a, Integers b) { return _mm512_sub_epi8(a, b); }
  static Integers LoadIntegers(const void* from) { return _mm512_loadu_si512(from); }
  static void StoreIntegers(void* to, Integers x) { _mm512_storeu_si512(to, x); }
  // Four bytes in every place, as dot products of bytes take them.
  static Integers FourBytes(const void* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm512_set1_epi32(four);
  }
  // Bytes' bits from kShift on. Shifts move bits across bytes, but never into the masked ones.
  template <int kShift>
  static Integers Extract(Integers bytes, int mask) {
    if constexpr (kShift > 0) bytes = _mm512_srli_epi16(bytes, kShift);
    return _mm512_and_si512(bytes, _mm512_set1_epi8(static_cast<char>(mask)));
  }
  // (bits << kLeft, or >> -kLeft) & mask, or'ed to `low`.
  template <int kLeft>
  static Integers Insert(Integers low, Integers bits, int mask) {
    constexpr int kTernaryAOrBAndC = 0xf8;
    if constexpr (kLeft > 0) bits = _mm512_slli_epi16(bits, kLeft);
    if constexpr (kLeft < 0) bits = _mm512_srli_epi16(bits, -kLeft);
    return _mm512_ternarylogic_epi32(low, bits, _mm512_set1_epi8(static_cast<char>(mask)),
                                     kTernaryAOrBAndC);
  }
  // A table of 16 bytes, and what it has at indices below 16.
  static Integers LoadTable(const std::uint8_t* from) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Integers Lookup(Integers table, Integers indices) {
    return _mm512_shuffle_epi8(table, indices);
  }
};

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LANES_AVX512_H_
