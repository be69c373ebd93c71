#include "compute/aligned_array.h"
#include "compute/float_kernels.h"
#include "compute/float_tile_avx512.h"

namespace ondine::compute {
namespace {

struct BFloat16Dot {
  using Input = std::uint16_t;
  using Vector = __m512bh;
  static constexpr std::int64_t kColumns = 2;
  static constexpr std::int64_t kBytes = 64;
  static __m512bh Load(const std::byte* at) {
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

// Rounds a row to BF16 and pads it with zeros to a multiple of 16.
void RoundRow(const float* x, std::int64_t width, std::uint16_t* out) {
  for (std::int64_t i = 0; i < width; i += 16) {
    const auto mask = static_cast<__mmask16>(width - i >= 16 ? 0xffff : (1 << (width - i)) - 1);
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        (__m256i)rounded);  // NOLINT(google-readability-casting)
  }
}

}  // namespace

void MultiplyBFloat16Avx512(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                            Worker::Range rows, bool add, float* y, std::int64_t stride) {
  const std::int64_t width = (x.width() + 15) / 16 * 16;
  thread_local AlignedArray<std::uint16_t> rounded;
  const std::int64_t row_count = rows.end - rows.begin;
  rounded.Reserve(static_cast<std::size_t>(row_count * width));
  for (std::int64_t i = 0; i < row_count; ++i) {
    RoundRow(x.Row(rows.begin + i), x.width(), rounded.data() + i * width);
  }
  MultiplyPanels<BFloat16Dot>(weights, panels, rounded.data(), row_count, width, add, y, stride);
}

}  // namespace ondine::compute
