#include <immintrin.h>

#include "compute/machine_bounds_chains.h"
#include "compute/machine_bounds_units.h"

namespace ondine::compute {
namespace {

struct Unit {
  using Integers = __m256i;
  static constexpr int kPairs = 32;
  static Integers Set(char byte) { return _mm256_set1_epi8(byte); }
  static void Add(Integers& sum, Integers a, Integers b) {
    sum = _mm256_dpbusd_avx_epi32(sum, a, b);
  }
  static std::int32_t Word(Integers x) { return _mm256_cvtsi256_si32(x); }
};

}  // namespace

double RunInt8ProductsAvxVnni(std::int64_t rounds, std::int32_t* sink) {
  return RunChains<Unit>(rounds, sink);
}

}  // namespace ondine::compute
