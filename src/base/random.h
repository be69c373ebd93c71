// Random numbers and orders, the same on every machine: the standard library's distributions and
// std::shuffle differ from one implementation to the next.
#ifndef ONDINE_SRC_BASE_RANDOM_H_
#define ONDINE_SRC_BASE_RANDOM_H_

#include <cstddef>
#include <random>
#include <utility>
#include <vector>

namespace ondine::base {

using Random = std::mt19937_64;

// 0 <= x < 1
inline double RandomShare(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

template <typename T>
void Shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
}

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_RANDOM_H_
