// ondine chat: a conversation without end.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

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
  std::string system, once;
  bool json = false;
};

Status Talk(const Options& options, Session& session, const std::string& message) {
  GenerationOptions generation = options.generation.options;
  generation.stop_token = InterruptToken();
  if (!options.json) {
    generation.on_text = [](std::string_view text) { std::cout << text << std::flush; };
  }
  ONDINE_ASSIGN(const Generation reply, session.Say(message, generation, options.system));
  if (options.json) {
    nlohmann::json out = ToJson(reply);
    out["pot"] = ToJson(session.report());
    std::cout << Dump(out) << "\n";
  } else {
    std::cout << std::endl;
  }
  if (reply.finish == FinishReason::kCancelled) return MakeError(ErrorCode::kCancelled, "stopped");
  return {};
}

Status Chat(const Options& options) {
  ONDINE_ASSIGN(const auto model, options.model.Load());
  SessionOptions session_options;
  session_options.threads = options.model.threads;
  ONDINE_ASSIGN(session_options.adapters, options.adapter.Load(model));
  ONDINE_ASSIGN(session_options.pot, options.pot.Settings());
  ONDINE_ASSIGN(Session session, Session::Create(model, session_options));
  if (!options.once.empty()) return Talk(options, session, options.once);

  if (ErrorIsTerminal()) {
    PrintNote("Chatting with " + model->info().name + " in a pot of " +
              Grouped(session_options.pot->slots) + " entries. Ctrl-D ends it.");
  }
  std::string line;
  while (true) {
    if (ErrorIsTerminal()) std::cerr << "\n> " << std::flush;
    if (!std::getline(std::cin, line)) {
      if (InterruptToken().Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      return {};
    }
    if (line.empty()) continue;
    ONDINE_TRY(Talk(options, session, line));
  }
}

}  // namespace

Action AddChat(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk with a model, without end, in a fixed memory");
  command->footer(
      "Example:\n  ondine chat --pot 1024\n"
      "  ondine chat --once \"Name three rivers.\"");
  options->model.AddTo(*command);
  options->adapter.AddAll(*command);
  command->add_option("--system", options->system, "system message");
  command->add_option("--once", options->once, "answer this one message and end");
  options->generation.AddTo(*command, 512);
  options->pot.AddAll(*command);
  command->add_flag("--json", options->json, "print each answer as JSON");
  return [options] { return Chat(*options); };
}

}  // namespace ondine::cli
