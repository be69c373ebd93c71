#include <immintrin.h>

#include <cstdint>

namespace ondine::compute {

double RunInt8DotProducts(std::int64_t rounds, std::int32_t* sink) {
  // Twelve chains hide the instruction's latency on every CPU that has it.
  constexpr int kChains = 12;
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (std::int64_t i = 0; i < rounds; ++i) {
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
    asm volatile("" : "+v"(a), "+v"(b));  // keeps the loop from being folded into one product
  }
  __m512i total = sums[0];
  // Where a loop is left, GCC 12 keeps the sums in memory.
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) total = _mm512_add_epi32(total, sums[i]);
  *sink = _mm512_cvtsi512_si32(total);      // any lane: all that matters is that it is used
  constexpr double kOperations = 2.0 * 64;  // multiply and add of 64 pairs
  return static_cast<double>(rounds) * kChains * kOperations;
}

}  // namespace ondine::compute
