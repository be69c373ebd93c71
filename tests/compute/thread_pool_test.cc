#include "compute/thread_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <time.h>

#include <chrono>
#include <numeric>

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

TEST(ThreadPoolTest, AnIdleTeamUsesNoProcessorTime) {
  ThreadPool pool(4);
  pool.Run([](Worker&) {});
  const auto cpu_seconds = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(cpu_seconds() - before, 0.05);  // four members that spin would use at least 0.2
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
