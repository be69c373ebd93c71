// Lets one of the program's allocations fail. The library failing_allocation replaces operator new
// and delete.
#ifndef ONDINE_TESTS_BASE_FAILING_ALLOCATION_H_
#define ONDINE_TESTS_BASE_FAILING_ALLOCATION_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>

#include "ondine/result.h"

namespace ondine::testing {

// The allocation, counted from now on, that fails; 0: none.
extern std::atomic<std::int64_t> allocations_left;

// Calls `run`, which returns a Result or Status, with one allocation after the other failing, and
// `check` after each failure. Of thousands of allocations, not every one.
template <typename Run, typename Check>
void FailEachAllocation(Run&& run, Check&& check) {
  int failures = 0;
  for (std::int64_t at = 1;; at += 1 + at / 16) {
    allocations_left = at;
    const auto result = run();
    const bool finished = allocations_left > 0;
    allocations_left = 0;
    if (!result) {
      EXPECT_EQ(result.error().code, ErrorCode::kOutOfMemory)
          << "allocation " << at << ": " << result.error().ToString();
      ++failures;
    }
    check();
    if (finished || ::testing::Test::HasFailure()) break;
  }
  EXPECT_GT(failures, 5);
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_BASE_FAILING_ALLOCATION_H_
