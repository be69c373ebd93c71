// Vectors of 8 numbers of 32 bits, and what the kernels do with them: lanes_avx512.h says what each
// does.
#ifndef ONDINE_SRC_COMPUTE_LANES_AVX2_H_
#define ONDINE_SRC_COMPUTE_LANES_AVX2_H_

#include <immintrin.h>

#include <cstdint>

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

struct Avx2Lanes {
  static constexpr int kCount = 8;
  using Floats = __m256;
  using Integers = __m256i;

  static Floats Set(float x) { return _mm256_set1_ps(x); }
  static Floats Load(const float* from) { return _mm256_loadu_ps(from); }
  static void Store(float* to, Floats x) { _mm256_storeu_ps(to, x); }
  // Masked loads and stores are slow on some processors, so whole vectors go without.
  using Part = std::int64_t;
  static Part First(std::int64_t left) { return left; }
  static Floats LoadPart(const float* from, Part left) {
    return left >= kCount ? Load(from) : _mm256_maskload_ps(from, Mask(left));
  }
  static void StorePart(float* to, Floats x, Part left) {
    if (left >= kCount) {
      Store(to, x);
    } else {
      _mm256_maskstore_ps(to, Mask(left), x);
    }
  }
  static Floats Subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats Multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
  static Floats ToFloats(Integers x) { return _mm256_cvtepi32_ps(x); }
  static Floats AsFloats(Integers bits) { return _mm256_castsi256_ps(bits); }

  static Floats LoadHalves(const void* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
  }
  static Floats LoadBFloat16s(const void* from) {
    const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(from));
    return AsFloats(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  // Of pairs of BF16 numbers.
  static Floats EvenBFloat16s(Integers pairs) { return AsFloats(_mm256_slli_epi32(pairs, 16)); }
  static Floats OddBFloat16s(Integers pairs) {
    const Integers mask = _mm256_set1_epi32(static_cast<int>(0xffff0000));
    return AsFloats(_mm256_and_si256(pairs, mask));
  }
  static Floats LoadSignedBytes(const void* from) {
    return ToFloats(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(from))));
  }

  static Integers SetIntegers(std::int32_t x) { return _mm256_set1_epi32(x); }
  static Integers SetBytes(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
  static Integers SubtractBytes(Integers a, Integers b) { return _mm256_sub_epi8(a, b); }
  static Integers LoadIntegers(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  static void StoreIntegers(void* to, Integers x) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), x);
  }
  static Integers FourBytes(const void* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, 4);
    return _mm256_set1_epi32(four);
  }
  template <int kShift>
  static Integers Extract(Integers bytes, int mask) {
    if constexpr (kShift > 0) bytes = _mm256_srli_epi16(bytes, kShift);
    return _mm256_and_si256(bytes, _mm256_set1_epi8(static_cast<char>(mask)));
  }
  template <int kLeft>
  static Integers Insert(Integers low, Integers bits, int mask) {
    if constexpr (kLeft > 0) bits = _mm256_slli_epi16(bits, kLeft);
    if constexpr (kLeft < 0) bits = _mm256_srli_epi16(bits, -kLeft);
    return _mm256_or_si256(low, _mm256_and_si256(bits, _mm256_set1_epi8(static_cast<char>(mask))));
  }
  static Integers LoadTable(const std::uint8_t* from) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Integers Lookup(Integers table, Integers indices) {
    return _mm256_shuffle_epi8(table, indices);
  }
  // Byte `byte` of each place, with its sign.
  static Integers SignedByte(Integers bytes, int byte) {
    return _mm256_srai_epi32(_mm256_sll_epi32(bytes, _mm_cvtsi32_si128(24 - 8 * byte)), 24);
  }

 private:
  static __m256i Mask(std::int64_t left) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<std::int32_t>(left)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LANES_AVX2_H_
