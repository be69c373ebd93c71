// The hash that cuts data sets into their fixed parts.
#ifndef ONDINE_SRC_EVAL_BUCKET_H_
#define ONDINE_SRC_EVAL_BUCKET_H_

#include <cstdint>
#include <string_view>

namespace ondine::eval {

// 64-bit FNV-1a of an item's key, modulo 100.
inline int Bucket(std::string_view key) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : key) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211U;
  }
  return static_cast<int>(hash % 100);
}

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_BUCKET_H_
