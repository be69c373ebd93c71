#include "compute/machine_bounds.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/stopwatch.h"
#include "compute/cpu_features.h"
#include "compute/machine_bounds_units.h"

namespace ondine::compute {

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

// The fastest unit that this processor has; null: none that is known here.
struct Int8Unit {
  const char* name = "";
  Int8Products run = nullptr;
  std::int64_t rounds = 0;  // of some 10 ms
};

Int8Unit FindInt8Unit() {
#if defined(__x86_64__)
  if (HasAmxInt8()) return {"AMX tiles", RunInt8ProductsAmx, 500'000};
  if (HasAvx512Vnni()) return {"AVX-512 VNNI", RunInt8ProductsAvx512, 2'000'000};
  if (HasAvxVnni()) return {"AVX-VNNI", RunInt8ProductsAvxVnni, 2'000'000};
  if (HasAvx2()) return {"AVX2", RunInt8ProductsAvx2, 2'000'000};
#elif defined(__aarch64__)
  if (HasNeonDot()) return {"NEON dot products", RunInt8ProductsNeon, 2'000'000};
#endif
  return {};
}

void MeasureInt8(ThreadPool& pool, MachineBounds& bounds) {
  const Int8Unit unit = FindInt8Unit();
  bounds.int8_unit = unit.name;
  if (unit.run == nullptr) return;
  std::vector<std::int32_t> sinks(static_cast<std::size_t>(pool.threads()) * 16);
  for (int i = 0; i < kTries; ++i) {
    std::atomic<double> operations = 0;
    const base::Timer timer;
    pool.Run([&](Worker& worker) {
      const double done =
          unit.run(unit.rounds, &sinks[static_cast<std::size_t>(worker.index()) * 16]);
      for (double sum = operations; !operations.compare_exchange_weak(sum, sum + done);) {
      }
    });
    bounds.int8_operations_per_second =
        std::max(bounds.int8_operations_per_second, operations / timer.Elapsed());
  }
}

}  // namespace

MachineBounds MeasureMachineBounds(ThreadPool& pool) {
  MachineBounds bounds;
  bounds.read_bytes_per_second = MeasureReading(pool);
  MeasureInt8(pool, bounds);
  return bounds;
}

}  // namespace ondine::compute
