#include "engine/benchmark.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include "base/guarded.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/machine_bounds.h"
#include "compute/thread_count.h"
#include "engine/adapter_parts.h"
#include "engine/model_parts.h"
#include "engine/prompt_format.h"
#include "memory/pot.h"

namespace ondine::engine {
namespace {

using memory::Pot;

class Benchmark {
 public:
  Benchmark(const Model& model, const BenchOptions& options)
      : model_(model), options_(options), pool_(compute::ThreadCount(options.threads)) {}

  Result<BenchReport> Run() {
    ONDINE_ASSIGN(lora_, Combine(options_.adapters, *model_.parts().decoder, pool_));
    BenchReport report;
    compute::MachineBounds bounds = compute::MeasureMachineBounds(pool_);
    for (const BenchTest& test : options_.tests) {
      ONDINE_ASSIGN(BenchRow row, RunTest(test));
      report.rows.push_back(std::move(row));
      // A machine that others use too shows what it can do only now and then.
      const compute::MachineBounds again = compute::MeasureMachineBounds(pool_);
      bounds.read_bytes_per_second =
          std::max(bounds.read_bytes_per_second, again.read_bytes_per_second);
      bounds.int8_operations_per_second =
          std::max(bounds.int8_operations_per_second, again.int8_operations_per_second);
    }
    report.memory_gigabytes_per_second = bounds.read_bytes_per_second / 1e9;
    report.peak_giga_operations = bounds.int8_operations_per_second / 1e9;
    report.peak_unit = bounds.int8_unit;
    for (BenchRow& row : report.rows) {
      const bool memory = row.generated > 0;
      row.bound = memory ? "memory" : "int8";
      const double reached = memory ? row.gigabytes_per_second : row.giga_operations;
      const double bound =
          memory ? report.memory_gigabytes_per_second : report.peak_giga_operations;
      if (bound > 0) row.bound_percent = 100 * reached / bound;
    }
    return report;
  }

 private:
  Result<BenchRow> RunTest(const BenchTest& test) {
    BenchRow row;
    row.prompt = test.prompt;
    row.generated = test.generated;
    row.depth = test.depth;
    row.threads = pool_.threads();
    row.name = test.prompt > 0 ? "pp" + std::to_string(test.prompt)
                               : "tg" + std::to_string(test.generated);
    if (test.depth > 0) row.name += " @ d" + std::to_string(test.depth);
    if (options_.on_progress) options_.on_progress(row.name);

    PotSettings settings;
    if (options_.pot) {
      settings = *options_.pot;
      row.pot = settings.slots;
    } else {
      settings.policy = PotPolicy::kFull;
      settings.type = options_.cache;
      settings.slots = test.depth + test.prompt + test.generated;
    }
    ONDINE_ASSIGN(const auto pot, Pot::Create(model_.parts().decoder, pool_, settings,
                                              EncodeText(model_.parts(), settings.catalyst, true),
                                              model_.parts().sentence_ends, lora_));
    ONDINE_TRY(pot->Feed(RandomTokens(test.depth), Pot::Part::kText, options_.stop_token));
    ONDINE_TRY(pot->Flush(options_.stop_token));
    const double entries = static_cast<double>(pot->length());
    for (int i = -1; i < options_.repetitions; ++i) {
      const Pot::Mark mark = pot->SetMark();
      ONDINE_ASSIGN(const double seconds, RunOnce(test, *pot));
      // A repetition that distilled the pot has nothing to go back to; the next one goes on from
      // there, as a conversation would.
      if (pot->counters().distillations == mark.counters.distillations) pot->Rewind(mark);
      if (i < 0) continue;  // that was to warm up
      row.samples.push_back(static_cast<double>(test.prompt + test.generated) / seconds);
    }
    Summarize(entries, row);
    return row;
  }

  Result<double> RunOnce(const BenchTest& test, Pot& pot) {
    const std::vector<TokenId> tokens = RandomTokens(std::max(test.prompt, test.generated));
    const base::Timer timer;
    if (test.prompt > 0) {
      ONDINE_TRY(pot.Feed(tokens, Pot::Part::kText, options_.stop_token));
      ONDINE_TRY(pot.Flush(options_.stop_token));
      pot.Logits();
    } else {
      for (const TokenId token : tokens) {
        ONDINE_TRY(pot.Feed({&token, 1}, Pot::Part::kText, options_.stop_token));
        ONDINE_TRY(pot.Flush(options_.stop_token));
        pot.Logits();
      }
    }
    return timer.Elapsed();
  }

  std::vector<TokenId> RandomTokens(std::int64_t n) {
    std::vector<TokenId> tokens(static_cast<std::size_t>(n));
    for (TokenId& token : tokens) {
      token =
          static_cast<TokenId>(random_() % static_cast<std::uint64_t>(model_.info().vocabulary));
    }
    return tokens;
  }

  void Summarize(double entries, BenchRow& row) const {
    std::vector<double> sorted = row.samples;
    std::sort(sorted.begin(), sorted.end());
    const auto n = static_cast<double>(sorted.size());
    row.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / n;
    double squares = 0;
    for (double sample : sorted) squares += (sample - row.mean) * (sample - row.mean);
    row.deviation = sorted.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
    row.best = sorted.back();
    row.median = (sorted[sorted.size() / 2] + sorted[(sorted.size() - 1) / 2]) / 2;

    const models::Decoder& decoder = *model_.parts().decoder;
    const ModelInfo& info = model_.info();
    const auto tokens = static_cast<double>(row.prompt + row.generated);
    // Entries that a token attends to on average, and what their keys and values weigh.
    const double attended = options_.pot
                                ? std::min(entries + tokens / 2, static_cast<double>(row.pot))
                                : entries + tokens / 2;
    const double attention_macs = 2 * attended * info.global_layers * info.heads * info.head_dim;
    double macs = static_cast<double>(decoder.BodyMultiplyAdds()) + attention_macs;
    if (row.generated > 0) macs += static_cast<double>(decoder.HeadMultiplyAdds());
    row.giga_operations = 2 * macs * row.best / 1e9;
    const double passes = row.generated > 0 ? tokens : std::ceil(tokens / kPassTokens);
    const double bytes = passes *
                         (static_cast<double>(decoder.BytesPerToken() + LoraBytes()) +
                          attended * CacheBytesPerEntry()) /
                         tokens;
    row.gigabytes_per_second = bytes * row.best / 1e9;
  }

  // Keys and values, in all layers that keep them.
  double CacheBytesPerEntry() const {
    const ModelInfo& info = model_.info();
    const auto type = memory::ToKvType(options_.pot ? options_.pot->type : options_.cache);
    return static_cast<double>(2 * info.global_layers * info.kv_heads) *
           static_cast<double>(
               compute::KvRowBytes(type, model_.parts().decoder->spec().padded_head_dim()));
  }
  std::size_t LoraBytes() const { return lora_ == nullptr ? 0 : lora_->bytes(); }

  static constexpr double kPassTokens = models::DecoderPass::kMaxTokens;

  const Model& model_;
  const BenchOptions& options_;
  compute::ThreadPool pool_;
  std::shared_ptr<const models::Lora> lora_;  // may be null
  std::mt19937_64 random_;
};

}  // namespace

Result<BenchReport> RunBenchmark(const Model& model, const BenchOptions& options) {
  return base::Guarded([&] { return Benchmark(model, options).Run(); });
}

}  // namespace ondine::engine
