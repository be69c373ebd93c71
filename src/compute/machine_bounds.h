// What this machine could do at best: the yardstick of benchmarks.
#ifndef ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_H_
#define ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_H_

#include <string_view>

#include "compute/thread_pool.h"

namespace ondine::compute {

struct MachineBounds {
  double read_bytes_per_second = 0;  // from memory, all threads together, best of several tries
  // 8-bit products and their sums (a multiply-add counts as two operations), all threads together;
  // 0 where the CPU has no instruction for them that this program uses.
  double int8_operations_per_second = 0;
  std::string_view int8_unit;  // what they were done on: "AMX tiles", "AVX-512 VNNI"; may be empty
};

// Takes about half a second and 256 MB.
MachineBounds MeasureMachineBounds(ThreadPool& pool);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_MACHINE_BOUNDS_H_
