// Lets one of the program's allocations fail. To be linked in replaces operator new and delete.
#ifndef ONDINE_TESTS_ENGINE_FAILING_ALLOCATION_H_
#define ONDINE_TESTS_ENGINE_FAILING_ALLOCATION_H_

#include <atomic>
#include <cstdint>

namespace ondine::testing {

// The allocation, counted from now on, that fails; 0: none.
extern std::atomic<std::int64_t> allocations_left;

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_ENGINE_FAILING_ALLOCATION_H_
