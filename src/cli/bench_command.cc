// ondine bench: speed in llama-bench's tests and columns, beside what the machine could do.
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "engine/benchmark.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  PotChoice pot;
  std::vector<std::int64_t> prompts = {512}, generated = {128}, depths = {0};
  int repetitions = 5;
  std::string format = "md";
};

nlohmann::json Row(const ModelInfo& info, const engine::BenchRow& row) {
  return {{"model_filename", info.path},
          {"model_type", info.architecture + " " + info.weights},
          {"model_size", info.file_bytes},
          {"model_n_params", info.parameters},
          {"backend", "CPU"},
          {"n_threads", row.threads},
          {"n_prompt", row.prompt},
          {"n_gen", row.generated},
          {"n_depth", row.depth},
          {"pot", row.pot},
          {"test", row.name},
          {"avg_ts", row.mean},
          {"stddev_ts", row.deviation},
          {"best_ts", row.best},
          {"median_ts", row.median},
          {"samples_ts", row.samples},
          {"gb_per_s", row.gigabytes_per_second},
          {"gops", row.giga_operations},
          {"bound", row.bound},
          {"bound_percent", row.bound_percent}};
}

void PrintMarkdown(const ModelInfo& info, const std::vector<engine::BenchRow>& rows) {
  std::printf(
      "| model | size | params | backend | threads | test | t/s | best | GB/s | GOPS | %% of bound "
      "|\n");
  std::printf("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  for (const engine::BenchRow& row : rows) {
    std::printf(
        "| %s %s | %s | %.2f M | CPU | %d | %s | %.2f ± %.2f | %.2f | %.1f | %.0f | %.0f (%s) |\n",
        info.architecture.c_str(), info.weights.c_str(), HumanBytes(info.file_bytes).c_str(),
        static_cast<double>(info.parameters) / 1e6, row.threads, row.name.c_str(), row.mean,
        row.deviation, row.best, row.gigabytes_per_second, row.giga_operations, row.bound_percent,
        row.bound.c_str());
  }
}

Status Bench(const Options& options) {
  ONDINE_ASSIGN(const auto model, options.model.Load());
  engine::BenchOptions settings;
  settings.threads = options.model.threads;
  ONDINE_ASSIGN(settings.adapters, options.adapter.Load(model));
  settings.repetitions = options.repetitions;
  settings.stop_token = InterruptToken();
  if (options.pot.slots > 0) {
    ONDINE_ASSIGN(settings.pot, options.pot.Settings(*model));
  } else {
    ONDINE_ASSIGN(settings.cache, ParseCacheType(options.pot.cache_type));
  }
  for (const std::int64_t depth : options.depths) {
    for (const std::int64_t n : options.prompts) {
      if (n > 0) settings.tests.push_back({n, 0, depth});
    }
    for (const std::int64_t n : options.generated) {
      if (n > 0) settings.tests.push_back({0, n, depth});
    }
  }
  ProgressLine line(false);
  settings.on_progress = [&](const std::string& test) { line.Show("measuring " + test); };
  ONDINE_ASSIGN(const engine::BenchReport report, engine::RunBenchmark(*model, settings));
  line.Clear();
  if (options.format == "json") {
    nlohmann::json rows = nlohmann::json::array();
    for (const engine::BenchRow& row : report.rows) rows.push_back(Row(model->info(), row));
    std::cout << Dump(rows) << "\n";
  } else if (options.format == "csv") {
    std::printf(
        "test,n_prompt,n_gen,n_depth,pot,n_threads,avg_ts,stddev_ts,best_ts,gb_per_s,gops,bound_"
        "percent\n");
    for (const engine::BenchRow& row : report.rows) {
      std::printf("%s,%lld,%lld,%lld,%lld,%d,%.3f,%.3f,%.3f,%.2f,%.1f,%.1f\n", row.name.c_str(),
                  static_cast<long long>(row.prompt), static_cast<long long>(row.generated),
                  static_cast<long long>(row.depth), static_cast<long long>(row.pot), row.threads,
                  row.mean, row.deviation, row.best, row.gigabytes_per_second, row.giga_operations,
                  row.bound_percent);
    }
  } else {
    PrintMarkdown(model->info(), report.rows);
    std::printf("\nMeasured on this machine: memory %.1f GB/s", report.memory_gigabytes_per_second);
    if (!report.peak_unit.empty()) {
      std::printf(", multiply-adds in 8 bits %.0f GOPS (%s)", report.peak_giga_operations,
                  std::string(report.peak_unit).c_str());
    }
    std::printf(".\n");
  }
  return {};
}

}  // namespace

Action AddBench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Measure speed: llama-bench's tests");
  command->footer("Example:\n  ondine bench -p 512 -n 128 -d 0,8192 --pot 2048");
  options->model.AddTo(*command);
  options->adapter.AddTo(*command);
  command->add_option("-p,--n-prompt", options->prompts, "prompt lengths (0: none)")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  command->add_option("-n,--n-gen", options->generated, "tokens to generate (0: none)")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  command->add_option("-d,--n-depth", options->depths, "tokens read before the test")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  command->add_option("-r,--repetitions", options->repetitions, "of each test")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  options->pot.AddAll(*command, PotChoice::Default::kNone);
  // The cache without a pot may have any type too.
  command->get_option("--cache-type")->remove_needs(command->get_option("--pot"));
  command->add_option("-o,--output", options->format, "md, csv or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"md", "csv", "json"}));
  command->add_flag_callback(
      "--json", [options] { options->format = "json"; }, "the same as -o json");
  return [options] { return Bench(*options); };
}

}  // namespace ondine::cli
