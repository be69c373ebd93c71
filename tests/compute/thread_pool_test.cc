#include "compute/thread_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace ondine::compute {
namespace {

TEST(ThreadPoolTest, EveryMemberRunsOnceAndTheCallerIsMemberZero) {
  for (int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    const auto caller = std::this_thread::get_id();
    std::vector<int> runs(threads, 0);
    bool caller_is_zero = false;
    pool.Run([&](Worker& worker) {
      EXPECT_EQ(worker.count(), threads);
      ++runs[worker.index()];
      if (worker.index() == 0) caller_is_zero = std::this_thread::get_id() == caller;
    });
    EXPECT_EQ(runs, std::vector<int>(threads, 1));
    EXPECT_TRUE(caller_is_zero);
  }
}

TEST(ThreadPoolTest, BarrierPublishesWhatOthersWrote) {
  constexpr int kThreads = 3;
  constexpr int kSteps = 2000;
  ThreadPool pool(kThreads);
  std::vector<int> steps(kThreads, 0);
  std::vector<int> disagreements(kThreads, 0);
  pool.Run([&](Worker& worker) {
    for (int step = 1; step <= kSteps; ++step) {
      steps[worker.index()] = step;
      worker.Barrier();
      for (int seen : steps) disagreements[worker.index()] += seen != step;
      worker.Barrier();
    }
  });
  EXPECT_EQ(disagreements, std::vector<int>(kThreads, 0));
}

TEST(ThreadPoolTest, RunsManyTimesAlsoAfterTheTeamFellAsleep) {
  ThreadPool pool(2);
  std::vector<int> runs(2, 0);
  for (int i = 0; i < 300; ++i) {
    pool.Run([&](Worker& worker) { ++runs[worker.index()]; });
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(runs, std::vector<int>(2, 300));
}

// Whether all threads of this process but the calling one wait in the kernel.
bool AllOthersSleep() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(gettid())) continue;
    std::string id, name, state;
    std::ifstream(task.path() / "stat") >> id >> name >> state;
    if (state != "S") return false;
  }
  return true;
}

// However long it takes them: members that went on looking for work would never sleep all at once.
TEST(ThreadPoolTest, AnIdleTeamSleeps) {
  ThreadPool pool(4);
  pool.Run([](Worker&) {});
  while (!AllOthersSleep()) std::this_thread::yield();
}

// A process that may have so much more address space, which is what stacks take.
int MembersWithin(rlim_t bytes) {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t limit = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + bytes;
  const rlimit both = {limit, limit};
  setrlimit(RLIMIT_AS, &both);
  ThreadPool pool(1000);
  std::atomic<int> runs = 0;
  pool.Run([&](Worker& worker) {
    worker.Barrier();
    runs += worker.count() == pool.threads() ? 1 : 0;
    worker.Barrier();
  });
  return runs == pool.threads() ? runs.load() : -1;
}

TEST(ThreadPoolTest, IsSmallerWhereThereAreNoMoreThreads) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer itself needs address space";
#endif
  EXPECT_EXIT(
      {
        const int members = MembersWithin(rlim_t{64} << 20);
        std::_Exit(members > 1 && members < 100 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

// Before, between or behind barriers: everybody leaves, Run() tells, and the team goes on.
RC_GTEST_PROP(ThreadPoolTest, PassesOnWhatAMemberThrows, ()) {
  const int threads = *rc::gen::inRange(1, 6);
  const int barriers = *rc::gen::inRange(0, 5);
  const int at = *rc::gen::inRange(0, barriers + 1);  // barriers that come before
  const auto throws = *rc::gen::container<std::vector<bool>>(static_cast<std::size_t>(threads),
                                                             rc::gen::arbitrary<bool>());
  const bool any = std::find(throws.begin(), throws.end(), true) != throws.end();
  ThreadPool pool(threads);
  for (int round = 0; round < 3; ++round) {
    std::vector<int> passed(throws.size(), 0);
    std::string told;
    try {
      pool.Run([&](Worker& worker) {
        const auto index = static_cast<std::size_t>(worker.index());
        for (int i = 0; i <= barriers; ++i) {
          if (throws[index] && i == at) throw std::runtime_error("it");
          if (i == barriers) break;
          worker.Barrier();
          ++passed[index];
        }
      });
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    RC_ASSERT(told == (any ? "it" : ""));
    for (const int each : passed) RC_ASSERT((any ? each <= at : each == barriers));

    std::atomic<int> sum = 0;
    std::vector<int> seen(throws.size(), 0);
    pool.Run([&](Worker& worker) {
      sum += worker.index() + 1;
      worker.Barrier();
      seen[static_cast<std::size_t>(worker.index())] = sum;
    });
    RC_ASSERT(seen == std::vector<int>(throws.size(), threads * (threads + 1) / 2));
  }
}

RC_GTEST_PROP(ThreadPoolTest, SharesCoverEverythingOnceInOrder, ()) {
  const int threads = *rc::gen::inRange(1, 6);
  const std::int64_t total = *rc::gen::inRange<std::int64_t>(0, 1000);
  const std::int64_t grain = *rc::gen::inRange<std::int64_t>(1, 40);
  ThreadPool pool(threads);
  std::vector<Worker::Range> shares(threads);
  pool.Run([&](Worker& worker) { shares[worker.index()] = worker.Share(total, grain); });
  std::int64_t next = 0;
  std::int64_t least = total, most = 0;
  for (const Worker::Range& share : shares) {
    RC_ASSERT(share.begin == next);
    RC_ASSERT(share.end >= share.begin);
    RC_ASSERT(share.end % grain == 0 || share.end == total);
    next = share.end;
    least = std::min(least, share.end - share.begin);
    most = std::max(most, share.end - share.begin);
  }
  RC_ASSERT(next == total);
  RC_ASSERT(most - least <= 2 * grain);
}

}  // namespace
}  // namespace ondine::compute
