#include <immintrin.h>

#include "compute/machine_bounds_chains.h"
#include "compute/machine_bounds_units.h"

namespace ondine::compute {
namespace {

// Sums of 16 bits, as kernels keep them for as long as they fit.
struct Unit {
  using Integers = __m256i;
  static constexpr int kPairs = 32;
  static Integers Set(char byte) { return _mm256_set1_epi8(byte); }
  static void Add(Integers& sum, Integers a, Integers b) {
    Integers products;  // made anew for each sum, which compilers would not do: they are the same
    asm volatile("vpmaddubsw %2, %1, %0" : "=x"(products) : "x"(a), "x"(b));
    sum = _mm256_add_epi16(sum, products);
  }
  static std::int32_t Word(Integers x) { return _mm256_cvtsi256_si32(x); }
};

}  // namespace

double RunInt8ProductsAvx2(std::int64_t rounds, std::int32_t* sink) {
  return RunChains<Unit>(rounds, sink);
}

}  // namespace ondine::compute
