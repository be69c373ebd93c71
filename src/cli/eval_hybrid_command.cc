// ondine eval hybrid: what a model on the device and a larger one behind a server are worth
// together.
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/option_checks.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "eval/hybrid.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice device;
  std::string server, pool, server_pool;
  eval::McqaOptions mcqa;
  std::vector<double> budgets = {0.1, 0.2, 0.3};
  bool json = false, progress = false;
};

// Both models on one part; only one of them is in memory at a time.
class Runner {
 public:
  explicit Runner(const Options& options) : options_(options), line_(options.progress) {}

  Status Run(const ModelChoice& choice, const std::string& pool,
             eval::McqaReport eval::HybridPart::*report) {
    ONDINE_ASSIGN(const auto model, choice.Load());
    eval::McqaOptions mcqa = options_.mcqa;
    mcqa.threads = options_.device.threads;
    mcqa.stop_token = InterruptToken();
    if (!pool.empty()) {
      ONDINE_ASSIGN(mcqa.pool, AdapterPool::Load(model, pool));
    }
    mcqa.on_progress = [&](std::int64_t done, std::int64_t total, double score) {
      line_.Show(model->info().name + ", question " + Grouped(done) + "/" + Grouped(total) +
                 ", score " + Fixed(100 * score, 1) + " %");
    };
    mcqa.part = eval::McqaPart::kSettings;
    ONDINE_ASSIGN(settings.*report, eval::RunMcqa(model, mcqa));
    mcqa.part = eval::McqaPart::kFinal;
    ONDINE_ASSIGN(final_part.*report, eval::RunMcqa(model, mcqa));
    line_.Clear();
    return {};
  }

  eval::HybridPart settings, final_part;

 private:
  const Options& options_;
  ProgressLine line_;
};

nlohmann::json ToJson(const GateOutcome& outcome) {
  return {{"share", outcome.share}, {"accuracy", outcome.accuracy}};
}

nlohmann::json ToJson(const eval::HybridReport& report, std::size_t questions) {
  nlohmann::json out = {{"task", "hybrid"},
                        {"n", questions},
                        {"device", report.device},
                        {"server", report.server},
                        {"chosen", report.chosen}};
  for (const eval::HybridSignal& signal : report.signals) {
    nlohmann::json& one = out["signals"][signal.name];
    one["area"] = signal.area;
    // Every per cent of the share is enough to draw it.
    double next = 0;
    for (const GateOutcome& point : signal.curve) {
      if (point.share < next && point.share < 1) continue;
      one["curve"].push_back(ToJson(point));
      next = point.share + 0.01;
    }
  }
  for (const eval::HybridBudget& one : report.budgets) {
    out["budgets"].push_back({{"budget", one.budget},
                              {"fitted", ToJson(one.fitted)},
                              {"realised", ToJson(one.realised)},
                              {"random", one.random}});
  }
  return out;
}

void Print(const eval::HybridReport& report, std::size_t questions) {
  std::printf("%zu questions: device alone %.1f %%, server alone %.1f %%\n\n", questions,
              100 * report.device, 100 * report.server);
  std::printf("%-12s  mean accuracy over all shares\n", "order by");
  for (const eval::HybridSignal& signal : report.signals) {
    std::printf("%-12s  %6.2f %%%s\n", signal.name.c_str(), 100 * signal.area,
                signal.name == report.chosen ? "  (best on the settings part)" : "");
  }
  std::printf("\nbudget  sent    accuracy  at random\n");
  for (const eval::HybridBudget& one : report.budgets) {
    std::printf("%4.0f %%  %4.1f %%  %6.1f %%  %6.1f %%\n", 100 * one.budget,
                100 * one.realised.share, 100 * one.realised.accuracy, 100 * one.random);
  }
  std::fflush(stdout);
}

Status Evaluate(const Options& options) {
  Runner runner(options);
  ONDINE_TRY(runner.Run(options.device, options.pool, &eval::HybridPart::device));
  ModelChoice server = options.device;
  server.path = options.server;
  ONDINE_TRY(runner.Run(server, options.server_pool, &eval::HybridPart::server));
  ONDINE_ASSIGN(const eval::HybridReport report,
                eval::CompareHybrid(runner.settings, runner.final_part, options.budgets));
  const std::size_t questions = runner.final_part.device.answers.size();
  if (options.json) {
    std::cout << Dump(ToJson(report, questions)) << "\n";
  } else {
    Print(report, questions);
  }
  return {};
}

}  // namespace

Action AddEvalHybrid(CLI::App& eval_command) {
  auto options = std::make_shared<Options>();
  CLI::App* command = eval_command.add_subcommand(
      "hybrid", "accuracy of a device and a server together, against the share that is sent");
  options->device.AddTo(*command);
  command->add_option("--server-model", options->server, "the larger model, a GGUF file")
      ->required();
  CLI::Option* pool = command->add_option(
      "--pool", options->pool, "pool whose adapters are blended on the device for each task");
  CLI::Option* server_pool =
      command->add_option("--server-pool", options->server_pool, "the same on the server");
  CLI::Option* shots =
      command->add_option("--shots", options->mcqa.shots, "training questions they are weighed by")
          ->capture_default_str()
          ->check(base::Positive());
  command->callback([pool, server_pool, shots] {
    if (shots->count() > 0 && pool->count() + server_pool->count() == 0) {
      throw CLI::RequiresError("--shots", "--pool or --server-pool");
    }
  });
  command
      ->add_option("--tasks", options->mcqa.tasks,
                   "as of eval mcqa; a gate is fitted on their settings parts (default: all)")
      ->delimiter(',');
  command->add_option("--data", options->mcqa.data, "folder with the sets")->capture_default_str();
  command->add_option("--limit", options->mcqa.limit, "questions of each task and part at most")
      ->check(base::NotNegative());
  command->add_option("--seed", options->mcqa.seed, "of the choice of training questions")
      ->capture_default_str()
      ->check(base::Seed());
  command->add_option("--budgets", options->budgets, "shares of the questions that may be sent")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command->add_flag("--progress", options->progress,
                    "show progress even where stderr is no terminal");
  command->add_flag("--json", options->json, "print as JSON");
  command->footer(
      "Example:\n  ondine eval hybrid --server-model larger.gguf --tasks piqa,arc_easy");
  return [options] { return Evaluate(*options); };
}

}  // namespace ondine::cli
