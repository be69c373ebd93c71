// ondine eval mcqa: accuracy on questions with choices.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/option_checks.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/eval_report.h"
#include "cli/options.h"
#include "cli/report.h"
#include "eval/mcqa.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  std::string pool, pool_use = "blend", blend;
  eval::McqaOptions mcqa;
  std::string split = "final", form = "plain", norm = "tokens";
  bool json = false, items = false, progress = false;
};

double Accuracy(const eval::McqaTaskReport& task, eval::McqaNorm norm) {
  return task.accuracy[static_cast<std::size_t>(norm)];
}

nlohmann::json ToJson(const eval::McqaAnswer& answer) {
  nlohmann::json choices = nlohmann::json::array();
  for (std::size_t i = 0; i < answer.scores.size(); ++i) {
    const eval::McqaChoice& choice = answer.item.choices[i];
    choices.push_back({{"context", choice.context},
                       {"continuation", choice.continuation},
                       {"log_likelihood", answer.scores[i].log_likelihood},
                       {"tokens", answer.scores[i].tokens}});
  }
  return {{"task", answer.item.task},
          {"question", answer.item.question},
          {"gold", answer.item.gold},
          {"chosen", answer.chosen},
          {"choices", std::move(choices)}};
}

nlohmann::json ToJson(const eval::McqaReport& report, bool with_items) {
  nlohmann::json out = ScoreJson(report.total);
  out["task"] = "mcqa";
  out["macro"] = report.macro;
  for (const auto& [name, task] : report.tasks) {
    nlohmann::json& cell = out["by"]["task"][name];
    cell = ScoreJson(task.cell);
    cell["base_rate"] = task.base_rate;
    if (!task.weights.empty()) cell["weights"] = task.weights;
    cell["accuracy"] = {{"tokens", Accuracy(task, eval::McqaNorm::kTokens)},
                        {"bytes", Accuracy(task, eval::McqaNorm::kBytes)},
                        {"none", Accuracy(task, eval::McqaNorm::kNone)}};
  }
  if (!with_items) return out;
  for (const eval::McqaAnswer& answer : report.answers) out["items"].push_back(ToJson(answer));
  return out;
}

void Print(const eval::McqaReport& report) {
  for (const auto& [name, task] : report.tasks) {
    std::cout << ScoreLine(name, task.cell) << ", most frequent position "
              << Fixed(100 * task.base_rate, 1) << " %\n";
  }
  std::cout << ScoreLine("all questions", report.total) << "\nmean over the sets          "
            << Fixed(100 * report.macro, 1) << " %\n";
}

Status Evaluate(Options& options) {
  eval::McqaOptions& mcqa = options.mcqa;
  ONDINE_ASSIGN(mcqa.part, eval::ParseMcqaPart(options.split));
  ONDINE_ASSIGN(mcqa.form, eval::ParseMcqaForm(options.form));
  ONDINE_ASSIGN(mcqa.norm, eval::ParseMcqaNorm(options.norm));
  mcqa.threads = options.model.threads;
  mcqa.stop_token = InterruptToken();
  ONDINE_ASSIGN(mcqa.pool_use, eval::ParsePoolUse(options.pool_use));
  if (!options.blend.empty()) {
    ONDINE_ASSIGN(mcqa.blend, ParseBlendForm(options.blend));
  }
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(mcqa.adapters, options.adapter.Load(model));
  if (!options.pool.empty()) {
    ONDINE_ASSIGN(mcqa.pool, AdapterPool::Load(model, options.pool));
  }
  ProgressLine line(options.progress);
  mcqa.on_progress = [&](std::int64_t done, std::int64_t total, double score) {
    line.Show("question " + Grouped(done) + "/" + Grouped(total) + ", score " +
              Fixed(100 * score, 1) + " %");
  };
  ONDINE_ASSIGN(const eval::McqaReport report, eval::RunMcqa(model, mcqa));
  line.Clear();
  if (options.json) {
    std::cout << Dump(ToJson(report, options.items)) << "\n";
  } else {
    Print(report);
  }
  return {};
}

}  // namespace

Action AddEvalMcqa(CLI::App& eval_command) {
  auto options = std::make_shared<Options>();
  eval::McqaOptions& mcqa = options->mcqa;
  CLI::App* command =
      eval_command.add_subcommand("mcqa", "choose answers to questions by likelihood");
  options->model.AddTo(*command);
  options->adapter.AddTo(*command);
  CLI::Option* pool =
      command->add_option("--pool", options->pool,
                          "pool whose adapters are blended for each task from --shots examples");
  command
      ->add_option("--shots", mcqa.shots,
                   "training questions of each task that the pool is weighed by")
      ->capture_default_str()
      ->needs(pool)
      ->check(base::Positive());
  command
      ->add_option("--pool-use", options->pool_use,
                   "blend, or for comparison other weights (nearest, uniform, shuffled) or "
                   "adapters (random)")
      ->capture_default_str()
      ->needs(pool)
      ->check(CLI::IsMember(eval::PoolUseNames()));
  command->add_option("--temperature", mcqa.temperature, "of the weights, instead of the pool's")
      ->needs(pool);
  command->add_option("--blend", options->blend, "separate or product, instead of the pool's")
      ->needs(pool);
  command
      ->add_option("--tasks", mcqa.tasks,
                   "some of arc_challenge, arc_easy, openbookqa, commonsenseqa, piqa, boolq, "
                   "hellaswag, winogrande, socialiqa, copa, pubmedqa, mmlu, mmlu/SUBJECT "
                   "(default: all)")
      ->delimiter(',');
  command->add_option("--data", mcqa.data, "folder with the sets")->capture_default_str();
  command
      ->add_option("--split", options->split,
                   "questions for choosing settings, or for final figures")
      ->capture_default_str()
      ->check(CLI::IsMember({"settings", "final"}));
  command->add_option("--limit", mcqa.limit, "questions of each task at most")
      ->check(base::NotNegative());
  command->add_option("--few-shot", mcqa.few_shot, "solved training questions before each one")
      ->capture_default_str()
      ->check(base::NotNegative());
  command->add_option("--seed", mcqa.seed, "of the choice of training questions")
      ->capture_default_str()
      ->check(base::Seed());
  command
      ->add_option("--form", options->form,
                   "plain: the question alone, an option's text is scored; listed: behind the "
                   "list of options; letters: the options' letters are scored")
      ->capture_default_str()
      ->check(CLI::IsMember(eval::McqaFormNames()));
  command
      ->add_option("--norm", options->norm,
                   "an option's log-likelihood is divided by its tokens, its bytes, or nothing: "
                   "tokens, bytes, none")
      ->capture_default_str()
      ->check(CLI::IsMember(eval::McqaNormNames()));
  command->add_flag("--items", options->items, "with --json: every question and its choices");
  command->add_flag("--progress", options->progress,
                    "show progress even where stderr is no terminal");
  command->add_flag("--json", options->json, "print as JSON");
  command->footer(
      "Example:\n  ondine eval mcqa --tasks piqa,arc_easy --split settings\n"
      "  ondine eval mcqa --tasks piqa --pool pool.gguf --shots 10");
  return [options] { return Evaluate(*options); };
}

}  // namespace ondine::cli
