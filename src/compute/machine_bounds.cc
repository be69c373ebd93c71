#include "compute/machine_bounds.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/stopwatch.h"
#include "compute/cpu_features.h"

namespace ondine::compute {

// machine_bounds_avx512.cc, machine_bounds_amx.cc: operations done in `rounds` rounds of products
// that do not wait for each other.
double RunInt8DotProducts(std::int64_t rounds, std::int32_t* sink);
double RunInt8TileProducts(std::int64_t rounds, std::int32_t* sink);

namespace {

constexpr int kTries = 5;

double MeasureReading(ThreadPool& pool) {
  std::vector<std::uint64_t> data(256'000'000 / sizeof(std::uint64_t), 1);
  std::atomic<std::uint64_t> sink = 0;
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const base::Timer timer;
    pool.Run([&](Worker& worker) {
      const Worker::Range share = worker.Share(static_cast<std::int64_t>(data.size()), 4096);
      std::uint64_t sum = 0;
      for (std::int64_t j = share.begin; j < share.end; ++j) {
        sum += data[static_cast<std::size_t>(j)];
      }
      sink += sum;
    });
    const double bytes = static_cast<double>(data.size() * sizeof(std::uint64_t));
    best = std::max(best, bytes / timer.Elapsed());
  }
  return best;
}

double MeasureInt8(ThreadPool& pool) {
#if defined(__x86_64__)
  if (!HasAvx512Vnni()) return 0;
  std::vector<std::int32_t> sinks(static_cast<std::size_t>(pool.threads()) * 16);
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    std::atomic<double> operations = 0;
    const base::Timer timer;
    pool.Run([&](Worker& worker) {
      constexpr std::int64_t kRounds = 2'000'000;
      std::int32_t* sink = &sinks[static_cast<std::size_t>(worker.index()) * 16];
      const double done =
          HasAmxInt8() ? RunInt8TileProducts(kRounds / 4, sink) : RunInt8DotProducts(kRounds, sink);
      for (double sum = operations; !operations.compare_exchange_weak(sum, sum + done);) {
      }
    });
    best = std::max(best, operations / timer.Elapsed());
  }
  return best;
#else
  static_cast<void>(pool);
  return 0;
#endif
}

}  // namespace

MachineBounds MeasureMachineBounds(ThreadPool& pool) {
  return {MeasureReading(pool), MeasureInt8(pool)};
}

}  // namespace ondine::compute
