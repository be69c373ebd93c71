// Speed of a model in llama-bench's tests, beside the machine's bounds.
#ifndef ONDINE_SRC_ENGINE_BENCHMARK_H_
#define ONDINE_SRC_ENGINE_BENCHMARK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/adapter.h"
#include "ondine/model.h"
#include "ondine/pot.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::engine {

// Reads `prompt` tokens, or generates `generated` ones, after `depth` tokens have been read.
struct BenchTest {
  std::int64_t prompt = 0, generated = 0, depth = 0;
};

struct BenchOptions {
  std::vector<BenchTest> tests;
  int threads = 0;
  std::vector<ScaledAdapter> adapters;
  int repetitions = 5;
  std::optional<PotSettings> pot;  // absent: a cache that keeps everything, of this type:
  CacheType cache = CacheType::kF16;
  std::function<void(const std::string&)> on_progress;
  StopToken stop_token;
};

struct BenchRow {
  std::string name;  // "pp512 @ d4096"
  std::int64_t prompt = 0, generated = 0, depth = 0, pot = 0;
  int threads = 0;
  std::vector<double> samples;  // tokens per second
  double mean = 0, deviation = 0, best = 0, median = 0;
  // Of the best repetition: weights and cache that had to be read, and multiply-adds (two
  // operations each) of linear layers and attention.
  double gigabytes_per_second = 0, giga_operations = 0;
  std::string bound;         // what limits the test in the end: "memory" or "int8"
  double bound_percent = 0;  // of that bound, as measured in the same run; 0: not known
};

struct BenchReport {
  std::vector<BenchRow> rows;
  double memory_gigabytes_per_second = 0, peak_giga_operations = 0;
  std::string_view peak_unit;  // what reaches that peak, such as "AMX tiles"
};

// Tokens are random, tokenising and sampling are not counted; one repetition more warms up.
Result<BenchReport> RunBenchmark(const Model& model, const BenchOptions& options);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_BENCHMARK_H_
