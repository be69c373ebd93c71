#include "compute/float_kernels.h"
#include "compute/float_tile_avx512.h"

namespace ondine::compute {
namespace {

struct FloatElement {
  using Input = float;
  using Vector = __m512;
  static constexpr std::int64_t kColumns = 1;
  static __m512 Broadcast(const float* x) { return _mm512_set1_ps(*x); }
  static __m512 MultiplyAdd(__m512 w, __m512 x, __m512 sum) { return _mm512_fmadd_ps(w, x, sum); }
};

struct F32Element : FloatElement {
  static constexpr std::int64_t kBytes = 64;
  static __m512 Load(const std::byte* at) { return _mm512_loadu_ps(at); }
};

struct F16Element : FloatElement {
  static constexpr std::int64_t kBytes = 32;
  static __m512 Load(const std::byte* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
};

// Two columns of BF16 at a time, widened by moving bits.
struct BFloat16Element {
  using Input = float;
  struct Pair {
    __m512 even, odd;
  };
  using Vector = Pair;
  static constexpr std::int64_t kColumns = 2;
  static constexpr std::int64_t kBytes = 64;
  static Pair Load(const std::byte* at) {
    const __m512i bits = _mm512_loadu_si512(at);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)),
            _mm512_castsi512_ps(
                _mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
  }
  static Pair Broadcast(const float* x) { return {_mm512_set1_ps(x[0]), _mm512_set1_ps(x[1])}; }
  static __m512 MultiplyAdd(const Pair& w, const Pair& x, __m512 sum) {
    return _mm512_fmadd_ps(w.odd, x.odd, _mm512_fmadd_ps(w.even, x.even, sum));
  }
};

}  // namespace

void MultiplyFloatAvx512(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride) {
  const auto multiply = weights.type() == formats::TensorType::kF32 ? MultiplyPanels<F32Element>
                        : weights.type() == formats::TensorType::kF16
                            ? MultiplyPanels<F16Element>
                            : MultiplyPanels<BFloat16Element>;
  multiply(weights, panels, x.Row(rows.begin), rows.end - rows.begin, x.width(), add, y, stride);
}

}  // namespace ondine::compute
