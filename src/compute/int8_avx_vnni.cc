#include <immintrin.h>

#include "compute/int8_kernels.h"
#include "compute/int8_tiles.h"
#include "compute/lanes_avx2.h"

namespace ondine::compute {
namespace {

struct AvxVnni {
  using Lanes = Avx2Lanes;
  using Weights = __m256i;
  using Codes = __m256i;
  static Weights Load(const std::int8_t* from) { return Lanes::LoadIntegers(from); }
  static Codes Spread(const std::uint8_t* from) { return Lanes::FourBytes(from); }
  static void Add(__m256i& sum, Codes codes, Weights weights) {
    sum = _mm256_dpbusd_avx_epi32(sum, codes, weights);
  }
  static constexpr int kMostPanels = 1;
  static constexpr int kMostRows = 4;
  static constexpr int kMostStreams = 4;
};

}  // namespace

void MultiplyInt8AvxVnni(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                         const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  Int8Products<AvxVnni>::Multiply(weights, panels, x, outputs, add, y, stride);
}

}  // namespace ondine::compute
