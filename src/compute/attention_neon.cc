#include "compute/attention_floats.h"
#include "compute/attention_kernels.h"
#include "compute/lanes_neon.h"

namespace ondine::compute {
namespace {

struct Neon : NeonLanes {
  static Floats Add(Floats a, Floats b) { return vaddq_f32(a, b); }
  static Floats Maximum(Floats a, Floats b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static float Largest(Floats x) { return vmaxvq_f32(x); }
  static float Sum(Floats x) { return vaddvq_f32(x); }
  static Floats Nearest(Floats x) { return vrndnq_f32(x); }
  static Floats PowerOfTwo(Floats whole) {
    return AsFloats(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(127)), 23));
  }

  using Mask = uint32x4_t;
  static Mask Within(std::int64_t at, std::int64_t first, std::int64_t last) {
    constexpr std::int32_t kPlaces[kCount] = {0, 1, 2, 3};
    const auto number = [](std::int64_t x) { return SetIntegers(static_cast<std::int32_t>(x)); };
    const int32x4_t place = vaddq_s32(number(at), vld1q_s32(kPlaces));
    return vandq_u32(vcgeq_s32(place, number(first)), vcleq_s32(place, number(last)));
  }
  static Floats Choose(Mask mask, Floats x, Floats other) { return vbslq_f32(mask, x, other); }

  static void Transpose(const float* from, int from_stride, float* to, int to_stride) {
    const Floats rows[kCount] = {Load(from), Load(from + from_stride), Load(from + 2 * from_stride),
                                 Load(from + 3 * from_stride)};
    const float32x4x2_t low = vzipq_f32(rows[0], rows[2]), high = vzipq_f32(rows[1], rows[3]);
    const float32x4x2_t first = vzipq_f32(low.val[0], high.val[0]);
    const float32x4x2_t second = vzipq_f32(low.val[1], high.val[1]);
    Store(to, first.val[0]);
    Store(to + to_stride, first.val[1]);
    Store(to + 2 * to_stride, second.val[0]);
    Store(to + 3 * to_stride, second.val[1]);
  }
};

}  // namespace

const AttentionKernels kNeonAttention = FloatAttention<Neon>::kKernels;

}  // namespace ondine::compute
