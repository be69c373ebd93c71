// How rare a token is, without a table and without data: vocabularies are sorted by frequency, and
// frequencies follow Zipf's law.
#ifndef ONDINE_SRC_MEMORY_RARITY_H_
#define ONDINE_SRC_MEMORY_RARITY_H_

#include <cmath>
#include <cstdint>

namespace ondine::memory {

// -log p(token) up to a constant, in nats.
inline double Rarity(std::int64_t token) {
  constexpr double kEquallyFrequent = 300;  // the first ones: bytes, letters, marks
  return std::log(static_cast<double>(token) + kEquallyFrequent);
}

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_RARITY_H_
