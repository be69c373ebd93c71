// Loops over the registers of a tile, and over tiles.
#ifndef ONDINE_SRC_COMPUTE_TILE_LOOPS_H_
#define ONDINE_SRC_COMPUTE_TILE_LOOPS_H_

#include <cstdint>
#include <type_traits>
#include <utility>

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

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

// How many of `left` rows the next tile takes, so that tiles of at most `most` are about equal.
inline std::int64_t NextTileRows(std::int64_t left, std::int64_t most) {
  const std::int64_t tiles = (left + most - 1) / most;
  return (left + tiles - 1) / tiles;
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_TILE_LOOPS_H_
