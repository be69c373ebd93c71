// Runs the program `ondine-train`.
#ifndef ONDINE_TESTS_TRAIN_TRAINING_TEST_H_
#define ONDINE_TESTS_TRAIN_TRAINING_TEST_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/program.h"

namespace ondine::testing {

class TrainingTest : public ProgramTest {
 protected:
  // In two processes, which train together.
  void RunInTwo(const std::vector<std::string>& arguments) const {
    setenv("WORLD_SIZE", "2", 1);
    setenv("MASTER_ADDR", "127.0.0.1", 1);
    setenv("MASTER_PORT", std::to_string(20000 + getpid() % 20000).c_str(), 1);
    std::vector<pid_t> processes;
    for (const char* rank : {"0", "1"}) {
      setenv("RANK", rank, 1);
      processes.push_back(Start(arguments));
    }
    for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) unsetenv(name);
    for (const pid_t process : processes) {
      const Outcome outcome = Wait(process);
      EXPECT_EQ(outcome.code, 0) << outcome.error;
    }
  }

  // |x - y| / |y|
  static double RelativeDifference(const std::vector<float>& x, const std::vector<float>& y) {
    EXPECT_EQ(x.size(), y.size());
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      difference += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
      size += std::pow(static_cast<double>(y[i]), 2);
    }
    return std::sqrt(difference / size);
  }
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_TRAINING_TEST_H_
