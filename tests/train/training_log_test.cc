#include "train/training_log.h"

#include <gtest/gtest.h>

namespace ondine::testing {
namespace {

TEST(ProgressLine, TellsWhatIsLeftByTheStepsOfThisRun) {
  train::ProgressLine from_the_start;
  EXPECT_EQ(from_the_start.SecondsLeft(1, 100, 2), 2 * 99);
  EXPECT_EQ(from_the_start.SecondsLeft(50, 100, 100), 100);
  train::ProgressLine resumed;  // after step 80
  EXPECT_EQ(resumed.SecondsLeft(81, 100, 2), 2 * 19);
  EXPECT_EQ(resumed.SecondsLeft(90, 100, 20), 20);
  EXPECT_EQ(resumed.SecondsLeft(100, 100, 40), 0);
}

}  // namespace
}  // namespace ondine::testing
