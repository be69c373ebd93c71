// ondine run: continues a prompt.
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
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
  std::optional<std::string> prompt;
  std::string file;
  bool chat = false, json = false, ignore_end = false;
};

Result<std::string> Prompt(const Options& options) {
  if (options.file.empty() && !options.prompt) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "name a prompt with -p, or a file with -f (-: standard input)");
  }
  if (options.file.empty()) return *options.prompt;
  return ReadTextFile(options.file, InterruptToken());
}

Status Run(const Options& options) {
  ONDINE_ASSIGN(const std::string prompt, Prompt(options));
  ONDINE_ASSIGN(const auto model, options.model.Load());
  SessionOptions session_options;
  session_options.threads = options.model.threads;
  ONDINE_ASSIGN(session_options.adapters, options.adapter.Load(model));
  if (options.pot.slots > 0) {
    ONDINE_ASSIGN(session_options.pot, options.pot.Settings(*model));
  }
  ONDINE_ASSIGN(Session session, Session::Create(model, session_options));
  GenerationOptions generation = options.generation.options;
  generation.stop_token = InterruptToken();
  generation.ignore_end = options.ignore_end;
  if (!options.json) {
    generation.on_text = ShowText;
  }
  ONDINE_ASSIGN(const Generation result, session.Complete(prompt, generation, options.chat));
  if (options.json) {
    nlohmann::json out = ToJson(result);
    out["model"] = model->info().path;
    out["pot"] = ToJson(session.report());
    std::cout << Dump(out) << "\n";
  } else {
    std::cout << std::endl;
  }
  if (result.finish == FinishReason::kCancelled) return MakeError(ErrorCode::kCancelled, "stopped");
  return {};
}

}  // namespace

Action AddRun(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "Continue a prompt");
  command->footer(
      "Example:\n  ondine run -p \"The capital of France is\" -n 20\n"
      "  ondine run --chat -p \"Write a haiku about rain.\" --temp 0.7");
  options->model.AddTo(*command);
  options->adapter.AddAll(*command);
  CLI::Option* prompt = command->add_option("-p,--prompt", options->prompt, "text to continue");
  command
      ->add_option("-f,--file", options->file, "file with the text to continue (-: standard input)")
      ->excludes(prompt);
  command->add_flag("--chat", options->chat, "put the prompt into the model's chat template");
  options->generation.AddTo(*command, 128);
  command->add_flag("--ignore-eos", options->ignore_end, "go on after the model's end of text");
  options->pot.AddAll(*command, PotChoice::Default::kNone);
  command->add_flag("--json", options->json, "print text, counts and times as JSON");
  return [options] { return Run(*options); };
}

}  // namespace ondine::cli
