#include "cli/server_options.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/option_checks.h"
#include "base/quote.h"
#include "base/try.h"
#include "cli/console.h"

namespace ondine::cli {
namespace {

namespace fs = std::filesystem;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// As the XDG base directory specification has it.
std::string DefaultLogPath() {
  std::string state = Variable("XDG_STATE_HOME");
  if (state.empty()) {
    const std::string home = Variable("HOME");
    if (home.empty()) return "";
    state = home + "/.local/state";
  }
  const fs::path folder = fs::path(state) / "ondine";
  std::error_code error;
  fs::create_directories(folder, error);  // where that fails, writing will, and says why
  return (folder / "sent.jsonl").string();
}

// One a line; lines that are blank or begin with # do not count.
Result<std::vector<std::string>> LoadPatterns(const std::string& path) {
  std::vector<std::string> patterns;
  if (path.empty()) return patterns;
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::istringstream lines(text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size())
                                                            : text);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    // A blank by itself would match everything.
    const bool blank = line.find_first_not_of(" \t") == std::string::npos;
    if (!blank && line.front() != '#') patterns.push_back(line);
  }
  return patterns;
}

bool AskForConsent(const std::string& text, const std::string& address) {
  const auto reply = AskOnTerminal("[This would leave for " + address + ":]\n" + Visible(text) +
                                   "\n[Send it? y or n] ");
  if (!reply) {
    PrintNote("[nobody here to ask whether this may leave: use --privacy allow, or never]");
  }
  return reply == "y" || reply == "Y" || reply == "yes";
}

void NoteMisfits(const Gate& gate, const Model& model, const Customization& custom) {
  if (gate.fit && gate.fit->model != model.info().name) {
    PrintNote("[the gate was fitted to " + base::Quote(gate.fit->model) + ", not to " +
              base::Quote(model.info().name) + "]");
  }
  if (gate.thresholds.task && !custom.pool) {
    PrintNote("[the gate's threshold of the task counts only with --examples]");
  }
}

}  // namespace

Result<std::string> ReadKeyFile(const std::string& path) {
  ONDINE_ASSIGN(std::string key, base::ReadFile(path));
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  if (key.empty()) return MakeError(ErrorCode::kInvalidArgument, "holds no key", path);
  return key;
}

void ServerChoice::AddTo(CLI::App& command) {
  CLI::Option* server = command.add_option(
      "--server", url,
      "OpenAI-compatible server for what the device should not answer, http://... or https://...");
  const auto with_server = [&](CLI::Option* option) { option->needs(server); };
  with_server(command
                  .add_option("--privacy", privacy,
                              "what may leave the device: never, ask (each time), allow")
                  ->capture_default_str()
                  ->check(CLI::IsMember({"never", "ask", "allow"})));
  with_server(command
                  .add_option("--budget", budget,
                              "share of the questions that may leave; the first one may (default: "
                              "what the gate was fitted to, else 0.2)")
                  ->check(CLI::Range(0.0, 1.0)));
  with_server(command.add_option("--gate", gate,
                                 "thresholds that `ondine route` has fitted (default: a guess)"));
  with_server(command.add_option("--private", private_file,
                                 "file of regular expressions; what matches one never leaves"));
  with_server(command.add_option("--server-model", model, "name of the model at the server"));
  with_server(command.add_option("--server-key-file", key_file,
                                 "file with the server's key (default: $ONDINE_SERVER_KEY)"));
  with_server(command.add_option("--server-certificates", certificates,
                                 "PEM file to trust instead of the system's"));
  with_server(command.add_option("--server-timeout", timeout, "seconds for an answer")
                  ->capture_default_str()
                  ->check(base::Positive()));
  with_server(command.add_option(
      "--sent-log", log,
      "file that notes what leaves (default: ~/.local/state/ondine/sent.jsonl)"));
}

Status ServerChoice::CheckLog(std::vector<std::string> inputs) const {
  inputs.insert(inputs.end(), {key_file, certificates, gate, private_file});
  for (const std::string& input : inputs) ONDINE_TRY(base::CheckDistinct({input, log}));
  return {};
}

Result<Server> ServerChoice::Load(int max_tokens) const {
  ServerSettings settings;
  settings.url = url;
  settings.model = model;
  settings.certificates = certificates;
  settings.answer_seconds = timeout;
  settings.max_tokens = max_tokens;
  settings.key = Variable("ONDINE_SERVER_KEY");
  if (!key_file.empty()) {
    ONDINE_ASSIGN(settings.key, ReadKeyFile(key_file));
  }
  settings.log = log.empty() ? DefaultLogPath() : log;
  if (settings.log.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "without $HOME, name the file that notes what leaves with --sent-log");
  }
  return Server::Create(settings);
}

Result<HybridSettings> ServerChoice::Settings(const Model& device, Customization custom) const {
  HybridSettings settings;
  ONDINE_ASSIGN(settings.privacy, ParsePrivacy(privacy));
  if (!gate.empty()) {
    ONDINE_ASSIGN(settings.gate, LoadGate(gate));
    NoteMisfits(settings.gate, device, custom);
    if (settings.gate.fit) settings.budget = settings.gate.fit->budget;
  }
  settings.budget = budget.value_or(settings.budget);
  settings.pool = std::move(custom.pool);
  settings.task = std::move(custom.task);
  ONDINE_ASSIGN(settings.private_patterns, LoadPatterns(private_file));
  settings.consent = AskForConsent;
  return settings;
}

}  // namespace ondine::cli
