#include <immintrin.h>

#include "compute/machine_bounds_chains.h"
#include "compute/machine_bounds_units.h"

namespace ondine::compute {
namespace {

struct Unit {
  using Integers = __m512i;
  static constexpr int kPairs = 64;
  static Integers Set(char byte) { return _mm512_set1_epi8(byte); }
  static void Add(Integers& sum, Integers a, Integers b) { sum = _mm512_dpbusd_epi32(sum, a, b); }
  static std::int32_t Word(Integers x) { return _mm512_cvtsi512_si32(x); }
};

}  // namespace

double RunInt8ProductsAvx512(std::int64_t rounds, std::int32_t* sink) {
  return RunChains<Unit>(rounds, sink);
}

}  // namespace ondine::compute
