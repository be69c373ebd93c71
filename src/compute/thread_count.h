#ifndef ONDINE_SRC_COMPUTE_THREAD_COUNT_H_
#define ONDINE_SRC_COMPUTE_THREAD_COUNT_H_

namespace ondine::compute {

// The number of threads to use where the caller asked for `wanted` (0: one per core).
int ThreadCount(int wanted);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_THREAD_COUNT_H_
