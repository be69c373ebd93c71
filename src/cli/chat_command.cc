// ondine chat: a conversation without end.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/server_options.h"
#include "ondine/hybrid.h"
#include "ondine/session.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  PotChoice pot;
  GenerationChoice generation;
  ServerChoice server;
  std::string system;
  std::optional<std::string> once;
  bool json = false;
};

// The device alone, or with a server.
class Partner {
 public:
  static Result<Partner> Create(const Options& options, const std::shared_ptr<const Model>& model) {
    SessionOptions session_options;
    session_options.threads = options.model.threads;
    ONDINE_ASSIGN(Customization custom, options.adapter.LoadWithTask(model));
    session_options.adapters = custom.adapters;
    ONDINE_ASSIGN(session_options.pot, options.pot.Settings(*model));
    Partner partner;
    ONDINE_ASSIGN(Session session, Session::Create(model, session_options));
    if (!options.server.wanted()) {
      partner.session_ = std::move(session);
      return partner;
    }
    ONDINE_ASSIGN(HybridSettings settings, options.server.Settings(*model, std::move(custom)));
    settings.on_fallback = [streams = !options.json](const ServerAnswer& failed) {
      if (streams && !failed.text.empty()) std::cout << std::endl;
      PrintNote(std::string("[the server failed (") + ServerFailureName(*failed.failure) + ": " +
                failed.detail + "); the device answers]");
    };
    ONDINE_ASSIGN(Server server, options.server.Load(options.generation.options.max_tokens));
    ONDINE_ASSIGN(partner.hybrid_,
                  HybridChat::Create(std::move(session), std::move(server), std::move(settings)));
    return partner;
  }

  // The decision counts only with a server.
  Result<HybridReply> Say(const std::string& message, const GenerationOptions& options,
                          const std::string& system) {
    if (hybrid_) return hybrid_->Say(message, options, system);
    ONDINE_ASSIGN(Generation reply, session_->Say(message, options, system));
    return HybridReply{std::move(reply), {}};
  }
  bool decides() const { return hybrid_.has_value(); }
  SessionReport report() const {
    return hybrid_ ? hybrid_->session().report() : session_->report();
  }

 private:
  std::optional<Session> session_;
  std::optional<HybridChat> hybrid_;
};

Status Talk(const Options& options, Partner& partner, const std::string& message) {
  GenerationOptions generation = options.generation.options;
  generation.stop_token = InterruptToken();
  if (!options.json) {
    generation.on_text = ShowText;
  }
  ONDINE_ASSIGN(const HybridReply reply, partner.Say(message, generation, options.system));
  if (options.json) {
    nlohmann::json out = ToJson(static_cast<const Generation&>(reply));
    out["pot"] = ToJson(partner.report());
    if (partner.decides()) out["decision"] = ToJson(reply.decision);
    std::cout << Dump(out) << "\n";
  } else {
    std::cout << std::endl;
    if (partner.decides()) {
      PrintNote(std::string(reply.decision.server ? "[server: " : "[device: ") +
                reply.decision.why + "]");
    }
  }
  if (reply.finish == FinishReason::kCancelled) return MakeError(ErrorCode::kCancelled, "stopped");
  return {};
}

Status Chat(const Options& options) {
  if (options.once && options.once->empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "--once needs a message");
  }
  std::vector<std::string> inputs = options.adapter.Files();
  ONDINE_ASSIGN(inputs.emplace_back(), options.model.Path());
  ONDINE_TRY(options.server.CheckLog(inputs));
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(Partner partner, Partner::Create(options, model));
  if (options.once) return Talk(options, partner, *options.once);

  if (ErrorIsTerminal()) {
    ONDINE_ASSIGN(const PotSettings pot, options.pot.Settings(*model));
    PrintNote("Chatting with " + model->info().name + " in a pot of " + Grouped(pot.slots) +
              " entries. Ctrl-D ends it.");
  }
  while (true) {
    if (ErrorIsTerminal()) std::cerr << "\n> " << std::flush;
    const std::optional<std::string> line = ReadInputLine();
    if (!line) {
      if (InterruptToken().Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      return {};
    }
    if (line->empty()) continue;
    ONDINE_TRY(Talk(options, partner, *line));
  }
}

}  // namespace

Action AddChat(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk with a model, without end, in a fixed memory");
  command->footer(
      "Example:\n  ondine chat --pot 1024\n"
      "  ondine chat --once \"Name three rivers.\"\n"
      "  ondine chat --server http://127.0.0.1:8080/v1 --privacy ask --budget 0.2");
  options->model.AddTo(*command);
  options->adapter.AddAll(*command);
  command->add_option("--system", options->system, "system message");
  command->add_option("--once", options->once, "answer this one message and end");
  options->generation.AddTo(*command, 512);
  options->pot.AddAll(*command, PotChoice::Default::kPot);
  options->server.AddTo(*command);
  command->add_flag("--json", options->json, "print each answer as JSON");
  return [options] { return Chat(*options); };
}

}  // namespace ondine::cli
