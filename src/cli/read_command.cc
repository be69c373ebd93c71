// ondine read: reads texts of any length in a pot and answers questions about them.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/memory.h"
#include "base/option_checks.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/explain.h"
#include "cli/options.h"
#include "cli/report.h"
#include "ondine/session.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  PotChoice pot;
  GenerationChoice generation;
  std::vector<std::string> files, questions;
  std::optional<std::int64_t> reread;
  std::string recall = "agnostic", prefix, system, save, load, explain_html;
  bool json = false, progress = false, no_template = false, explain = false;
};

Status CheckOptions(const Options& options) {
  const auto invalid = [](const char* message) {
    return MakeError(ErrorCode::kInvalidArgument, message);
  };
  if (options.load.empty() && options.files.empty()) {
    return invalid("name a text file to read, or a saved pot with --load");
  }
  if (!options.load.empty() && !options.files.empty()) {
    return invalid("--load takes up a saved pot; it cannot read further files");
  }
  if (options.recall == "question" && options.questions.size() != 1) {
    return invalid("--recall question reads for one question: give exactly one --ask");
  }
  if (options.explain || !options.explain_html.empty()) {
    if (options.files.empty() ||
        std::find(options.files.begin(), options.files.end(), "-") != options.files.end()) {
      return invalid(
          "--explain goes through the text once more: it needs files, not standard input");
    }
    if (options.pot.policy == PotPolicyName(PotPolicy::kTruncate)) {
      return invalid("truncate keeps the beginning and the end: there is nothing to --explain");
    }
  }
  std::vector<std::string> inputs = options.adapter.Files();
  inputs.insert(inputs.end(), options.files.begin(), options.files.end());
  inputs.push_back(options.load);
  ONDINE_ASSIGN(inputs.emplace_back(), options.model.Path());
  ONDINE_TRY(base::CheckOutput(options.save, inputs));
  inputs.push_back(options.save);
  return base::CheckOutput(options.explain_html, inputs);
}

std::string ProgressText(const ReadProgress& progress, std::int64_t total_bytes) {
  const double rate =
      progress.seconds > 0 ? static_cast<double>(progress.tokens) / progress.seconds : 0;
  std::string text = "read " + Grouped(progress.tokens) + " tokens, " + Fixed(rate, 0) +
                     " tokens/s, pot " + Grouped(progress.pot_entries) + "/" +
                     Grouped(progress.pot_slots) + ", " + Grouped(progress.distillations) +
                     " distillations";
  if (total_bytes > 0 && progress.bytes > 0 && progress.bytes < total_bytes) {
    const double share = static_cast<double>(progress.bytes) / static_cast<double>(total_bytes);
    text += ", " + Fixed(100 * share, 0) + " %, " +
            HumanSeconds(progress.seconds * (1 - share) / share) + " left";
  }
  return text;
}

// Bytes of all files; 0 where one of them is no regular file.
std::int64_t TotalBytes(const std::vector<std::string>& files) {
  std::int64_t total = 0;
  for (const std::string& file : files) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file, error);
    if (error) return 0;
    total += static_cast<std::int64_t>(size);
  }
  return total;
}

// Tokens of the longest question, what stands around it and its answer.
std::optional<std::int64_t> RoomToAnswer(const Options& options, const Model& model) {
  constexpr std::int64_t kAround = 32;
  std::optional<std::int64_t> most;
  for (const std::string& question : options.questions) {
    const std::int64_t tokens = std::ssize(model.Tokenize(question + options.prefix)) + kAround +
                                options.generation.options.max_tokens;
    most = std::max(most.value_or(0), tokens);
  }
  return most;
}

Result<Session> OpenSession(const Options& options, const std::shared_ptr<const Model>& model) {
  SessionOptions session_options;
  session_options.threads = options.model.threads;
  ONDINE_ASSIGN(session_options.adapters, options.adapter.Load(model));
  if (!options.load.empty()) return Session::Load(model, options.load, session_options);
  ONDINE_ASSIGN(const auto text, OpenTextFiles(options.files, InterruptToken()));
  ONDINE_ASSIGN(session_options.pot, options.pot.Settings(*model));
  ONDINE_ASSIGN(Session session, Session::Create(model, session_options));
  ReadOptions read;
  read.system = options.system;
  read.chat_template = !options.no_template;
  read.stop_token = InterruptToken();
  if (options.recall == "question") read.question = options.questions.front();
  read.reserve = RoomToAnswer(options, *model);
  ProgressLine line(options.progress);
  const std::int64_t total = TotalBytes(options.files);
  if (line.enabled()) {
    read.on_progress = [&](const ReadProgress& progress) {
      line.Show(ProgressText(progress, total));
    };
  }
  ONDINE_TRY(session.Read(*text, read));
  return session;
}

// What reading cost, against a cache that keeps everything.
void PrintSummary(const Model& model, const SessionReport& report, double seconds) {
  const std::int64_t whole = report.tokens * model.info().cache_bytes_per_token;
  PrintNote("Read " + Grouped(report.tokens) + " tokens in " + Fixed(seconds, 1) + " s (" +
            Fixed(static_cast<double>(report.tokens) / seconds, 0) + " tokens/s).");
  PrintNote("Pot: " + Grouped(report.slots) + " entries, never more than " +
            Grouped(report.peak_entries) + "; " + Grouped(report.distillations) +
            " distillations. Memory of the pot " + HumanBytes(report.peak_bytes) +
            "; a cache of the whole text would need " + HumanBytes(whole) + ".");
  PrintNote("Resident memory of the program, model included: at most " +
            HumanBytes(static_cast<std::int64_t>(base::PeakResidentBytes())) + ".");
}

Status Read(const Options& options) {
  ONDINE_TRY(CheckOptions(options));
  const base::Timer watch;
  ONDINE_ASSIGN(const auto model, options.model.Load());
  const double loaded = watch.Elapsed();
  ONDINE_ASSIGN(Session session, OpenSession(options, model));
  const double read = watch.Elapsed() - loaded;
  const SessionReport after_reading = session.report();
  if (!options.json && options.load.empty()) PrintSummary(*model, after_reading, read);
  if (!options.save.empty()) ONDINE_TRY(session.Save(options.save));
  const double saved = watch.Elapsed() - loaded - read;

  nlohmann::json explanation;
  if (options.explain) {
    ONDINE_ASSIGN(const auto text, OpenTextFiles(options.files, InterruptToken()));
    if (options.json) {
      ONDINE_ASSIGN(explanation, ExplanationToJson(session, *text));
    } else {
      ONDINE_TRY(PrintExplanation(session, *text));
    }
  }
  if (!options.explain_html.empty()) {
    ONDINE_ASSIGN(const auto text, OpenTextFiles(options.files, InterruptToken()));
    ONDINE_TRY(WriteExplanation(session, *text, options.explain_html));
  }

  nlohmann::json answers = nlohmann::json::array();
  double asked = 0;
  for (const std::string& question : options.questions) {
    const base::Stopwatch ask_watch(asked);
    AskOptions ask{options.generation.options, options.prefix, options.reread};
    GenerationOptions& generation = ask.generation;
    generation.stop_token = InterruptToken();
    if (!options.json) {
      std::cout << "\n> " << question << "\n" << options.prefix << std::flush;
      // The space between the cue and the answer is not part of it.
      generation.on_text = [begins = options.prefix.empty()](std::string_view text) mutable {
        if (begins) text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
        begins = begins && text.empty();
        ShowText(text);
      };
    }
    ONDINE_ASSIGN(const Answer answer, session.Ask(question, ask));
    if (!options.json) std::cout << std::endl;
    if (answer.finish == FinishReason::kCancelled) {
      return MakeError(ErrorCode::kCancelled, "stopped");
    }
    nlohmann::json item = ToJson(answer);
    item["question"] = question;
    item["answer"] = answer.text;
    item["passages"] = answer.passages;
    answers.push_back(std::move(item));
  }
  if (!options.json) return {};

  const SessionReport report = session.report();
  nlohmann::json out;
  out["model"] = model->info().path;
  out["tokens_read"] = after_reading.tokens;
  out["pot"] = ToJson(report);
  out["full_cache_bytes"] = after_reading.tokens * model->info().cache_bytes_per_token;
  out["rss_peak_bytes"] = base::PeakResidentBytes();
  out["seconds"] = {{"load", loaded},
                    {"read", read},
                    {"save", saved},
                    {"ask", asked},
                    {"total", watch.Elapsed()},
                    {"model", after_reading.seconds_model},
                    {"surprise", after_reading.seconds_surprise},
                    {"catalyst", after_reading.seconds_catalyst},
                    {"selection", after_reading.seconds_selection},
                    {"consolidation", after_reading.seconds_consolidation}};
  out["tokens_per_second"] = read > 0 ? static_cast<double>(after_reading.tokens) / read : 0;
  out["answers"] = std::move(answers);
  if (options.explain) out["explanation"] = std::move(explanation);
  std::cout << Dump(out) << "\n";
  return {};
}

}  // namespace

Action AddRead(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("read", "Read texts of any length in a fixed memory and ask about them");
  command->footer(
      "Example:\n  ondine read novel.txt --pot 2048 --ask \"Who is the narrator?\" --save "
      "novel.pot\n"
      "  ondine read --load novel.pot --ask \"Where does it end?\"");
  options->model.AddTo(*command);
  options->adapter.AddAll(*command);
  command->add_option("files", options->files,
                      "texts to read, one after the other (-: standard input)");
  command->add_option("--ask", options->questions,
                      "question about the text (may be given several times)");
  command->add_option("--prefix", options->prefix, "how the answer begins");
  CLI::Option* system = command->add_option("--system", options->system, "system message");
  CLI::Option* recall =
      command
          ->add_option("--recall", options->recall,
                       "agnostic: any question may come; question: read for the one question asked")
          ->capture_default_str()
          ->check(CLI::IsMember({"agnostic", "question"}));
  command->add_option("--save", options->save, "write the pot to this file, to be asked again");
  CLI::Option* explain =
      command->add_flag("--explain", options->explain,
                        "show the passages that survived, by the share of heads that hold them");
  CLI::Option* page = command->add_option("--explain-html", options->explain_html,
                                          "the same as a page in this file");
  CLI::Option* load = command->add_option("--load", options->load, "a saved pot instead of texts");
  // What a pot was read with is in it.
  for (CLI::Option* option : options->pot.AddAll(*command, PotChoice::Default::kTextPot))
    load->excludes(option);
  for (CLI::Option* option : {system, recall, explain, page}) load->excludes(option);
  command
      ->add_option("--reread", options->reread,
                   "tokens of passages sharing a question's words that are read once more before "
                   "its answer (default: pot/8 with infinipot; 0: none)")
      ->check(base::NotNegative());
  options->generation.AddTo(*command, 128);
  load->excludes(command->add_flag("--no-template", options->no_template,
                                   "do not use the model's chat template"));
  command->add_flag("--progress", options->progress,
                    "show progress even where stderr is no terminal");
  command->add_flag("--json", options->json, "print answers, counts, bytes and times as JSON");
  return [options] { return Read(*options); };
}

}  // namespace ondine::cli
