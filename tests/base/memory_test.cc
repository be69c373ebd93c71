#include "base/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/temp_dir.h"

namespace ondine::base {
namespace {

constexpr std::uint64_t kMebi = 1 << 20;

TEST(ResidentBytes, FollowsWhatTheProcessTouches) {
  const std::uint64_t before = ResidentBytes();
  std::vector<char> block(64 * kMebi, 1);
  volatile char* keep = block.data();  // the writes above must not be optimised away
  const std::uint64_t during = ResidentBytes();
  EXPECT_GE(during, before + 60 * kMebi) << keep[5];
  EXPECT_GE(PeakResidentBytes(), during);
  block = {};
  EXPECT_GE(PeakResidentBytes(), before + 60 * kMebi);
}

// A tree with the files of /proc and /sys/fs/cgroup that matter.
class AvailableBytesTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = dir_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void PutMachine() {
    Put("proc/meminfo", "MemTotal:       8000 kB\nMemFree: 1 kB\nMemAvailable:   4000 kB\n");
  }
  std::optional<std::uint64_t> Available() const { return AvailableBytes(dir_.path().string()); }

  testing::TempDir dir_;
};

TEST_F(AvailableBytesTest, IsUnknownWithoutProc) {
  EXPECT_EQ(Available(), std::nullopt);
}

TEST_F(AvailableBytesTest, IsTheMachinesWithoutGroups) {
  PutMachine();
  EXPECT_EQ(Available(), 4000u * 1024);
}

TEST_F(AvailableBytesTest, ObeysTheTightestGroupOfVersion2) {
  PutMachine();
  Put("proc/self/cgroup", "0::/user/service\n");
  Put("sys/fs/cgroup/user/service/memory.max", "max\n");
  Put("sys/fs/cgroup/user/service/memory.current", "100\n");
  Put("sys/fs/cgroup/user/memory.max", "5000\n");
  Put("sys/fs/cgroup/user/memory.current", "3000\n");
  Put("sys/fs/cgroup/user/memory.stat", "anon 2000\ninactive_file 600\nactive_file 7\n");
  EXPECT_EQ(Available(), 5000u - (3000 - 600));
}

TEST_F(AvailableBytesTest, ObeysVersion1WhoseHostPathIsHiddenInTheContainer) {
  PutMachine();
  Put("proc/self/cgroup", "5:devices:/\n4:memory:/docker/ab12\n0::/\n");
  Put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9000\n");
  Put("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(Available(), 8000u);
}

TEST_F(AvailableBytesTest, IsZeroInAGroupThatUsesMoreThanItsLimit) {
  PutMachine();
  Put("proc/self/cgroup", "0::/\n");
  Put("sys/fs/cgroup/memory.max", "1000\n");
  Put("sys/fs/cgroup/memory.current", "2000\n");
  EXPECT_EQ(Available(), 0u);
}

}  // namespace
}  // namespace ondine::base
