// Trainings in two processes: a test of this very program is run twice, side by side.
#ifndef ONDINE_TESTS_TRAIN_TWO_PROCESSES_H_
#define ONDINE_TESTS_TRAIN_TWO_PROCESSES_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temp_dir.h"

namespace ondine::testing {

// Where the test that runs in two processes writes what it learned; nullopt where it was not
// started by TrainedByTwo().
inline std::optional<std::string> FileForTrained() {
  const char* out = std::getenv("ONDINE_TRAINED");
  return out == nullptr ? std::nullopt : std::optional<std::string>(out);
}

inline void WriteTrained(const std::vector<float>& values, const std::string& path) {
  EXPECT_TRUE(base::WriteFileAtomically(
      path, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(values))); }));
}

// What the first of two processes wrote that ran `test`; empty, and a failure, where one failed.
inline std::vector<float> TrainedByTwo(const std::string& test) {
  const TempDir folder;
  const std::string out = folder.File("trained");
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const int port = 20000 + static_cast<int>(getpid() % 20000);
  std::string command;
  for (const char* rank : {"0", "1"}) {
    command += std::string("RANK=") + rank +
               " WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=" + std::to_string(port) +
               " ONDINE_TRAINED=" + out + " " + program + " --gtest_filter=" + test + " >" +
               folder.File(rank) + " 2>&1 & ";
  }
  EXPECT_EQ(std::system((command + "wait").c_str()), 0);
  const auto bytes = base::ReadFile(out);
  EXPECT_TRUE(bytes) << base::ReadFile(folder.File("0")).value_or("");
  std::vector<float> values(bytes ? bytes->size() / sizeof(float) : 0);
  if (bytes) std::memcpy(values.data(), bytes->data(), values.size() * sizeof(float));
  return values;
}

// |x - y| / |y|
inline double RelativeDifference(const std::vector<float>& x, const std::vector<float>& y) {
  EXPECT_EQ(x.size(), y.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    difference += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
    size += std::pow(static_cast<double>(y[i]), 2);
  }
  return std::sqrt(difference / size);
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_TWO_PROCESSES_H_
