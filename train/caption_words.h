// What captions are drawn and put together with.
#ifndef ONDINE_TRAIN_CAPTION_WORDS_H_
#define ONDINE_TRAIN_CAPTION_WORDS_H_

#include <cctype>
#include <cstddef>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace ondine::train {

inline bool Chance(base::Random& random, double share) {
  return base::RandomShare(random) < share;
}

template <typename T, std::size_t N>
const T& Pick(base::Random& random, const T (&of)[N]) {
  return of[random() % N];
}

inline std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

inline std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CAPTION_WORDS_H_
