// What a processor's products of bytes reach at most, for each instruction set that includes this.
// `Unit` says what one offers: Integers, Set(byte), Add(sum, a, b), Word(x) (any), and kPairs, the
// pairs of bytes that Add multiplies.
#ifndef ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_CHAINS_H_
#define ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_CHAINS_H_

#include <cstdint>

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

// Operations, multiplications and additions, done in `rounds` rounds.
template <typename Unit>
double RunChains(std::int64_t rounds, std::int32_t* sink) {
  constexpr int kChains = 12;  // hide the instruction's latency on every CPU that has it
  typename Unit::Integers sums[kChains];
  for (auto& sum : sums) sum = Unit::Set(0);
  auto a = Unit::Set(3), b = Unit::Set(5);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) Unit::Add(sum, a, b);
      // Keeps the loop from being folded into one product.
#if defined(__aarch64__)
    asm volatile("" : "+w"(a), "+w"(b));
#else
    asm volatile("" : "+x"(a), "+x"(b));
#endif
  }
  // Where a loop is left, GCC 12 keeps the sums in memory.
  std::int32_t total = 0;
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) total ^= Unit::Word(sums[i]);
  *sink = total;  // all that matters is that the sums are used
  return static_cast<double>(rounds) * kChains * 2.0 * Unit::kPairs;
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_CHAINS_H_
