#include "compute/attention_floats.h"
#include "compute/attention_kernels.h"
#include "compute/lanes_avx2.h"

namespace ondine::compute {
namespace {

struct Avx2 : Avx2Lanes {
  static Floats Add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats Maximum(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static float Largest(Floats x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static float Sum(Floats x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static Floats Nearest(Floats x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Floats PowerOfTwo(Floats whole) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return AsFloats(_mm256_slli_epi32(exponent, 23));
  }

  using Mask = Floats;
  static Mask Within(std::int64_t at, std::int64_t first, std::int64_t last) {
    const auto number = [](std::int64_t x) { return SetIntegers(static_cast<std::int32_t>(x)); };
    const __m256i place = _mm256_add_epi32(number(at), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return AsFloats(_mm256_andnot_si256(_mm256_cmpgt_epi32(number(first), place),
                                        _mm256_cmpgt_epi32(number(last + 1), place)));
  }
  static Floats Choose(Mask mask, Floats x, Floats other) {
    return _mm256_blendv_ps(other, x, mask);
  }

  static void Transpose(const float* from, int from_stride, float* to, int to_stride) {
    __m256 a[kCount], b[kCount];
    Unroll<kCount>([&](auto i) { a[i] = Load(from + i * from_stride); });
    Unroll<kCount / 2>([&](auto i) {
      b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
      b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    });
    // a[4 h + i] has columns i and i + 4 of the rows 4 h to 4 h + 3.
    Unroll<2>([&](auto h) {
      const __m256 *low = b + 4 * h, *high = low + 2;
      a[4 * h] = _mm256_shuffle_ps(low[0], high[0], 0x44);
      a[4 * h + 1] = _mm256_shuffle_ps(low[0], high[0], 0xee);
      a[4 * h + 2] = _mm256_shuffle_ps(low[1], high[1], 0x44);
      a[4 * h + 3] = _mm256_shuffle_ps(low[1], high[1], 0xee);
    });
    Unroll<kCount / 2>([&](auto i) {
      Store(to + i * to_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x20));
      Store(to + (4 + i) * to_stride, _mm256_permute2f128_ps(a[i], a[4 + i], 0x31));
    });
  }
};

}  // namespace

const AttentionKernels kAvx2Attention = FloatAttention<Avx2>::kKernels;

}  // namespace ondine::compute
