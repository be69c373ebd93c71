#include "compute/bfloat16_rows_avx512.h"
#include "compute/float_kernels.h"
#include "compute/float_tile.h"

namespace ondine::compute {
namespace {

struct BFloat16Dot {
  using Lanes = Avx512Lanes;
  using Input = std::uint16_t;
  using Vector = __m512bh;
  static constexpr std::int64_t kColumns = 2;
  static constexpr std::int64_t kBytes = 64;
  static __m512bh Load(const std::byte* at, int /*v*/) {
    // NOLINTNEXTLINE(google-readability-casting): of vectors
    return (__m512bh)_mm512_loadu_si512(at);
  }
  static __m512bh Broadcast(const std::uint16_t* x) {
    std::int32_t pair;
    __builtin_memcpy(&pair, x, sizeof(pair));
    return (__m512bh)_mm512_set1_epi32(pair);  // NOLINT(google-readability-casting)
  }
  static __m512 MultiplyAdd(__m512bh w, __m512bh x, __m512 sum) {
    return _mm512_dpbf16_ps(sum, w, x);
  }
};

}  // namespace

void MultiplyBFloat16Avx512(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                            Worker::Range rows, bool add, float* y, std::int64_t stride) {
  const std::int64_t width = (x.width() + 15) / 16 * 16;
  const std::int64_t count = rows.end - rows.begin;
  FloatProducts<BFloat16Dot>::Multiply(weights, panels, RoundRows(x, rows, count, width), count,
                                       width, add, y, stride);
}

}  // namespace ondine::compute
