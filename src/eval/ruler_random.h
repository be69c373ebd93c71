// Random words, numbers and orders, the same on every machine: the standard library's distributions
// and std::shuffle differ from one implementation to the next.
#ifndef ONDINE_SRC_EVAL_RULER_RANDOM_H_
#define ONDINE_SRC_EVAL_RULER_RANDOM_H_

#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ondine::eval {

using Random = std::mt19937_64;

// English words, all different, none of which is part of another.
std::vector<std::string> EnglishWords();

std::string RandomKey(Random& random);     // "copper-lantern"
std::string RandomNumber(Random& random);  // seven digits
std::string RandomUuid(Random& random);    // version 4, lower case
std::string RandomLetters(Random& random, int length,
                          char first);  // 'a' or 'A': 26 letters from it

// `count` texts of `draw` that differ from each other and from those in `taken`, where they are
// put.
std::vector<std::string> DrawDistinct(int count, const std::function<std::string()>& draw,
                                      std::set<std::string>& taken);

// 0 <= x < 1
inline double RandomShare(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

template <typename T>
void Shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random() % i]);
}

// "a, b, c"
std::string Join(const std::vector<std::string>& parts, const std::string& separator);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RULER_RANDOM_H_
