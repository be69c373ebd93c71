#include <immintrin.h>

#include "compute/int8_kernels.h"
#include "compute/int8_tiles.h"
#include "compute/lanes_avx2.h"

namespace ondine::compute {
namespace {

// Two 8-bit products do not fit into the 16 bits that a dot product of bytes has here, so both
// sides are widened: even and odd columns apart.
struct Avx2 {
  using Lanes = Avx2Lanes;
  struct Pairs {
    __m256i even, odd;
  };
  using Weights = Pairs;
  using Codes = Pairs;
  static Weights Load(const std::int8_t* from) {
    const __m256i bytes = Lanes::LoadIntegers(from);
    return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
  }
  static Codes Spread(const std::uint8_t* from) {
    const __m256i bytes = Lanes::FourBytes(from);
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
  }
  static void Add(__m256i& sum, const Codes& codes, const Weights& weights) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes.even, weights.even));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes.odd, weights.odd));
  }
  static constexpr int kMostPanels = 1;
  static constexpr int kMostRows = 4;
  static constexpr int kMostStreams = 2;
};

}  // namespace

void MultiplyInt8Avx2(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                      const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  Int8Products<Avx2>::Multiply(weights, panels, x, outputs, add, y, stride);
}

void AddInt8OutliersAvx2(const Int8Weights& weights, Worker::Range panels,
                         std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  AddInt8Outliers<Avx2Lanes>(weights, panels, outliers, scales, y);
}

}  // namespace ondine::compute
