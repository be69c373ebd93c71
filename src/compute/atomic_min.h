// The least of what several threads find.
#ifndef ONDINE_SRC_COMPUTE_ATOMIC_MIN_H_
#define ONDINE_SRC_COMPUTE_ATOMIC_MIN_H_

#include <atomic>
#include <cstdint>

namespace ondine::compute {

inline void LowerTo(std::atomic<std::int64_t>& least, std::int64_t value) {
  std::int64_t current = least.load();
  while (value < current && !least.compare_exchange_weak(current, value)) {
  }
}

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATOMIC_MIN_H_
