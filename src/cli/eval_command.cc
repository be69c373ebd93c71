// ondine eval: scores on tasks of long text, and the command's other tasks.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/join.h"
#include "base/option_checks.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/eval_report.h"
#include "cli/options.h"
#include "cli/report.h"
#include "eval/leval.h"
#include "eval/needle.h"
#include "eval/ruler.h"
#include "eval/runner.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  PotChoice pot;
  std::vector<std::int64_t> reread;
  eval::NeedleOptions needle;
  eval::RulerOptions ruler;
  eval::LEvalOptions leval;
  std::string recall = "agnostic", data = "../shared/data", split = "final";
  std::int64_t limit = -1;
  bool json = false, items = false, progress = false, no_template = false;
};

nlohmann::json ToJson(const eval::Report& report, bool with_items) {
  nlohmann::json out = ScoreJson(report.total);
  out["task"] = report.task;
  out["documents"] = report.documents;
  out["tokens_read"] = report.tokens_read;
  out["peak_entries"] = report.peak_entries;
  out["peak_bytes"] = report.peak_bytes;
  out["seconds"] = {{"read", report.seconds_reading}, {"ask", report.seconds_asking}};
  for (const auto& [label, values] : report.cells) {
    for (const auto& [value, cell] : values) out["by"][label][value] = ScoreJson(cell);
  }
  if (!with_items) return out;
  for (const eval::Answer& answer : report.answers) {
    nlohmann::json item = {{"item", answer.item},       {"question", answer.query.question},
                           {"gold", answer.query.gold}, {"answer", answer.text},
                           {"score", answer.score},     {"labels", answer.query.labels}};
    if (answer.reread) item["reread"] = *answer.reread;
    out["items"].push_back(std::move(item));
  }
  return out;
}

void Print(const eval::Report& report) {
  std::cout << ScoreLine(report.task, report.total) << "\n";
  for (const auto& [label, values] : report.cells) {
    for (const auto& [value, cell] : values) {
      std::string name = "  ";
      name.append(label).append(" ").append(value);
      std::cout << ScoreLine(name, cell) << "\n";
    }
  }
  std::cout << report.documents << " documents, " << Grouped(report.tokens_read)
            << " tokens read at "
            << Fixed(static_cast<double>(report.tokens_read) / report.seconds_reading, 0)
            << " tokens/s, never more than " << Grouped(report.peak_entries) << " entries\n";
}

Result<eval::RunOptions> Settings(const Options& options,
                                  const std::shared_ptr<const Model>& model) {
  eval::RunOptions run;
  PotChoice pot = options.pot;
  if (pot.policy == "rag") {
    run.reading = eval::Reading::kRetrieval;
    pot.policy = "full";
  } else if (options.recall == "question") {
    run.reading = eval::Reading::kQuestion;
  }
  ONDINE_ASSIGN(run.session.pot, pot.Settings(*model));
  run.session.threads = options.model.threads;
  ONDINE_ASSIGN(run.session.adapters, options.adapter.Load(model));
  run.chat_template = !options.no_template;
  run.reread = options.reread;
  run.limit = options.limit;
  run.stop_token = InterruptToken();
  return run;
}

using MakeTask =
    std::function<Result<std::unique_ptr<eval::Task>>(const std::shared_ptr<const Model>&)>;

Status Evaluate(const Options& options, const MakeTask& make) {
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(const auto task, make(model));
  ONDINE_ASSIGN(eval::RunOptions run, Settings(options, model));
  ProgressLine line(options.progress);
  const base::Timer watch;
  run.on_progress = [&](std::int64_t done, std::int64_t total, double score) {
    line.Show("document " + Grouped(done) + "/" + Grouped(total) + ", score " +
              Fixed(100 * score, 1) + " %, " + TimeLeft(watch.Elapsed(), done, total));
  };
  ONDINE_ASSIGN(const eval::Report report, eval::RunTask(model, *task, run));
  line.Clear();
  if (options.json) {
    std::cout << Dump(ToJson(report, options.items)) << "\n";
  } else {
    Print(report);
  }
  return {};
}

// Options that all tasks have.
void AddCommon(CLI::App& command, Options& options) {
  options.model.AddTo(command);
  options.adapter.AddTo(command);
  options.pot.AddAll(command, PotChoice::Default::kTextPot);
  command
      .add_option("--reread", options.reread,
                  "as in read; with several values each question is asked once with each")
      ->delimiter(',')
      ->check(base::NotNegative());
  command.get_option("--policy")
      ->description(command.get_option("--policy")->get_description() +
                    "; rag: chunks found by BM25");
  command.add_option("--recall", options.recall, "agnostic, or question: read again for each one")
      ->capture_default_str()
      ->check(CLI::IsMember({"agnostic", "question"}));
  command.add_option("--data", options.data, "folder with the texts")->capture_default_str();
  command.add_option("--limit", options.limit, "documents at most");
  command.add_flag("--no-template", options.no_template, "do not use the model's chat template");
  command.add_flag("--items", options.items, "with --json: every question and answer");
  command.add_flag("--progress", options.progress,
                   "show progress even where stderr is no terminal");
  command.add_flag("--json", options.json, "print as JSON");
}

// Options of the tasks whose documents are made, not found.
template <typename TaskOptions>
void AddGenerated(CLI::App& command, TaskOptions& task, std::int64_t& documents, const char* per) {
  command.add_option("--lengths", task.lengths, "tokens of a document")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--documents", documents, std::string("documents per ") + per)
      ->capture_default_str();
  command.add_option("--seed", task.seed, "of the documents")
      ->capture_default_str()
      ->check(base::Seed());
}

void AddTasks(CLI::App& command, std::vector<std::string>& tasks,
              const std::vector<std::string>& names) {
  command.add_option("--tasks", tasks, "some of " + base::Join(names, ", ") + " (default: all)")
      ->delimiter(',');
}

CLI::App* AddNeedle(CLI::App& eval_command, Options& options) {
  CLI::App* command = eval_command.add_subcommand("needle", "find facts hidden in essays");
  AddCommon(*command, options);
  AddGenerated(*command, options.needle, options.needle.items, "length");
  command
      ->add_option("--kinds", options.needle.kinds,
                   "facts in each document: number, words, paraphrase")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--texts", options.needle.texts,
                      "text file, or folder of .txt files, to hide facts in (default: essays)");
  command->add_option("--depths", options.needle.depths, "where the facts stand, 0 to 1")
      ->delimiter(',')
      ->capture_default_str();
  command->footer("Example:\n  ondine eval needle --lengths 4096,32768 --pot 2048");
  return command;
}

CLI::App* AddRuler(CLI::App& eval_command, Options& options) {
  CLI::App* command = eval_command.add_subcommand(
      "ruler", "find, trace and count what is hidden in generated texts (RULER)");
  AddCommon(*command, options);
  AddTasks(*command, options.ruler.tasks, eval::RulerTaskNames());
  AddGenerated(*command, options.ruler, options.ruler.documents, "task and length");
  command->footer("Example:\n  ondine eval ruler --tasks niah_single_1,vt --lengths 4096,16384");
  return command;
}

CLI::App* AddLEval(CLI::App& eval_command, Options& options) {
  CLI::App* command = eval_command.add_subcommand(
      "leval", "answer questions about lectures, stories and chats (L-Eval)");
  AddCommon(*command, options);
  AddTasks(*command, options.leval.tasks, eval::LEvalTaskNames());
  command
      ->add_option("--split", options.split,
                   "documents for choosing settings, for final figures, or all")
      ->capture_default_str()
      ->check(CLI::IsMember({"settings", "final", "all"}));
  command->footer("Example:\n  ondine eval leval --tasks quality --split settings --pot 2048");
  return command;
}

Result<std::unique_ptr<eval::Task>> MakeLEval(const Options& options) {
  eval::LEvalOptions leval = options.leval;
  leval.data = options.data;
  ONDINE_ASSIGN(leval.split, eval::ParseLEvalSplit(options.split));
  return eval::MakeLEvalTask(leval);
}

}  // namespace

Action AddEval(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("eval", "Score a model on tasks of long text or with choices");
  command->require_subcommand(1);
  command->footer("Example:\n  ondine eval needle --lengths 4096,32768 --documents 50 --pot 2048");
  CLI::App* needle = AddNeedle(*command, *options);
  CLI::App* ruler = AddRuler(*command, *options);
  CLI::App* leval = AddLEval(*command, *options);
  const Action run_mcqa = AddEvalMcqa(*command);
  CLI::App* mcqa = command->get_subcommand("mcqa");
  const Action run_hybrid = AddEvalHybrid(*command);
  CLI::App* hybrid = command->get_subcommand("hybrid");

  return [=]() -> Status {
    options->needle.data = options->ruler.data = options->data;
    if (needle->parsed()) {
      return Evaluate(*options, [&](const std::shared_ptr<const Model>& model) {
        return eval::MakeNeedleTask(model, options->needle);
      });
    }
    if (ruler->parsed()) {
      return Evaluate(*options, [&](const std::shared_ptr<const Model>& model) {
        return eval::MakeRulerTask(model, options->ruler);
      });
    }
    if (leval->parsed()) {
      return Evaluate(*options, [&](const auto&) { return MakeLEval(*options); });
    }
    if (mcqa->parsed()) return run_mcqa();
    if (hybrid->parsed()) return run_hybrid();
    return MakeError(ErrorCode::kInvalidArgument, "name a task");
  };
}

}  // namespace ondine::cli
