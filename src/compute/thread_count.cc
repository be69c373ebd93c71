#include "compute/thread_count.h"

#include <algorithm>
#include <thread>

namespace ondine::compute {

int ThreadCount(int wanted) {
  if (wanted > 0) return std::min(wanted, 256);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace ondine::compute
