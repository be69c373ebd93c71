// Vectors of 4 numbers of 32 bits, and what the kernels do with them: lanes_avx512.h says what each
// does.
#ifndef ONDINE_SRC_COMPUTE_LANES_NEON_H_
#define ONDINE_SRC_COMPUTE_LANES_NEON_H_

#include <arm_neon.h>

#include <cstdint>

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

struct NeonLanes {
  static constexpr int kCount = 4;
  using Floats = float32x4_t;
  using Integers = int32x4_t;

  static Floats Set(float x) { return vdupq_n_f32(x); }
  static Floats Load(const float* from) { return vld1q_f32(from); }
  static void Store(float* to, Floats x) { vst1q_f32(to, x); }
  using Part = std::int64_t;
  static Part First(std::int64_t left) { return left; }
  static Floats LoadPart(const float* from, Part left) {
    if (left >= kCount) return Load(from);
    float some[kCount] = {};
    for (std::int64_t i = 0; i < left; ++i) some[i] = from[i];
    return Load(some);
  }
  static void StorePart(float* to, Floats x, Part left) {
    if (left >= kCount) return Store(to, x);
    float all[kCount];
    Store(all, x);
    for (std::int64_t i = 0; i < left; ++i) to[i] = all[i];
  }
  static Floats Subtract(Floats a, Floats b) { return vsubq_f32(a, b); }
  static Floats Multiply(Floats a, Floats b) { return vmulq_f32(a, b); }
  static Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return vfmaq_f32(sum, a, b); }
  static Floats ToFloats(Integers x) { return vcvtq_f32_s32(x); }
  static Floats AsFloats(Integers bits) { return vreinterpretq_f32_s32(bits); }

  static Floats LoadHalves(const void* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(static_cast<const std::uint16_t*>(from))));
  }
  static Floats LoadBFloat16s(const void* from) {
    const uint16x4_t bits = vld1_u16(static_cast<const std::uint16_t*>(from));
    return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
  }
  // Of pairs of BF16 numbers.
  static Floats EvenBFloat16s(Integers pairs) { return AsFloats(vshlq_n_s32(pairs, 16)); }
  static Floats OddBFloat16s(Integers pairs) {
    return AsFloats(vandq_s32(pairs, vdupq_n_s32(static_cast<std::int32_t>(0xffff0000))));
  }
  static Floats LoadSignedBytes(const void* from) {
    std::uint32_t four;
    __builtin_memcpy(&four, from, 4);
    return ToFloats(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four)))));
  }

  static Integers SetIntegers(std::int32_t x) { return vdupq_n_s32(x); }
  static Integers SetBytes(int x) { return FromBytes(vdupq_n_u8(static_cast<std::uint8_t>(x))); }
  static Integers SubtractBytes(Integers a, Integers b) {
    return FromBytes(vsubq_u8(Bytes(a), Bytes(b)));
  }
  static Integers LoadIntegers(const void* from) {
    return FromBytes(vld1q_u8(static_cast<const std::uint8_t*>(from)));
  }
  static void StoreIntegers(void* to, Integers x) {
    vst1q_u8(static_cast<std::uint8_t*>(to), Bytes(x));
  }
  static Integers FourBytes(const void* from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, 4);
    return vdupq_n_s32(four);
  }
  template <int kShift>
  static Integers Extract(Integers bytes, int mask) {
    return FromBytes(vandq_u8(Shifted<-kShift>(bytes), vdupq_n_u8(static_cast<uint8_t>(mask))));
  }
  template <int kLeft>
  static Integers Insert(Integers low, Integers bits, int mask) {
    return vorrq_s32(low, Extract<-kLeft>(bits, mask));
  }
  static Integers LoadTable(const std::uint8_t* from) { return LoadIntegers(from); }
  static Integers Lookup(Integers table, Integers indices) {
    return FromBytes(vqtbl1q_u8(Bytes(table), Bytes(indices)));
  }
  // Byte `byte` of each place, with its sign.
  static Integers SignedByte(Integers bytes, int byte) {
    return vshrq_n_s32(vshlq_s32(bytes, vdupq_n_s32(24 - 8 * byte)), 24);
  }

 private:
  static uint8x16_t Bytes(Integers x) { return vreinterpretq_u8_s32(x); }
  static Integers FromBytes(uint8x16_t x) { return vreinterpretq_s32_u8(x); }
  // To the left; to the right where kLeft is negative.
  template <int kLeft>
  static uint8x16_t Shifted(Integers bytes) {
    if constexpr (kLeft > 0) return vshlq_n_u8(Bytes(bytes), kLeft);
    if constexpr (kLeft < 0) return vshrq_n_u8(Bytes(bytes), -kLeft);
    return Bytes(bytes);
  }
};

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_LANES_NEON_H_
