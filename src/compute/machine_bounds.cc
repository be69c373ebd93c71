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

void MeasureInt8(ThreadPool& pool, MachineBounds& bounds) {
#if defined(__x86_64__)
  if (!HasAvx512Vnni()) return;
  const bool tiles = HasAmxInt8();
  bounds.int8_unit = tiles ? "AMX tiles" : "AVX-512 VNNI";
  std::vector<std::int32_t> sinks(static_cast<std::size_t>(pool.threads()) * 16);
  for (int i = 0; i < kTries; ++i) {
    std::atomic<double> operations = 0;
    const base::Timer timer;
    pool.Run([&](Worker& worker) {
      constexpr std::int64_t kRounds = 2'000'000;
      std::int32_t* sink = &sinks[static_cast<std::size_t>(worker.index()) * 16];
      const double done =
          tiles ? RunInt8TileProducts(kRounds / 4, sink) : RunInt8DotProducts(kRounds, sink);
      for (double sum = operations; !operations.compare_exchange_weak(sum, sum + done);) {
      }
    });
    bounds.int8_operations_per_second =
        std::max(bounds.int8_operations_per_second, operations / timer.Elapsed());
  }
#else
  static_cast<void>(pool);
  static_cast<void>(bounds);
#endif
}

}  // namespace

MachineBounds MeasureMachineBounds(ThreadPool& pool) {
  MachineBounds bounds;
  bounds.read_bytes_per_second = MeasureReading(pool);
  MeasureInt8(pool, bounds);
  return bounds;
}

}  // namespace ondine::compute
