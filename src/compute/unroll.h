// Loops whose counter is a compile-time constant in each turn.
#ifndef ONDINE_SRC_COMPUTE_UNROLL_H_
#define ONDINE_SRC_COMPUTE_UNROLL_H_

#include <type_traits>
#include <utility>

namespace ondine::compute {
namespace {

template <typename Body, int... kIndex>
inline __attribute__((always_inline)) void UnrollEach(Body&& body,
                                                      std::integer_sequence<int, kIndex...>) {
  (body(std::integral_constant<int, kIndex>()), ...);
}

// body(0), ..., body(kCount - 1), with constants, so that what they index lies in registers.
template <int kCount, typename Body>
inline __attribute__((always_inline)) void Unroll(Body&& body) {
  UnrollEach(body, std::make_integer_sequence<int, kCount>());
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_UNROLL_H_
