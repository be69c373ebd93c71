// The program `ondine`: chooses the command and turns its outcome into an exit code.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "cli/command.h"
#include "cli/console.h"

namespace ondine::cli {
namespace {

// The first word that stands where a command should and is none; CLI11 only says that one is
// missing.
std::string UnknownCommand(CLI::App& app, int argc, char** argv) {
  const CLI::App* here = &app;
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    const auto commands = here->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty()) break;
    const auto found = std::ranges::find(commands, argv[i], &CLI::App::get_name);
    if (found == commands.end()) return argv[i];
    here = *found;
  }
  return "";
}

// Closed ones would become the next files that are opened, and be written to and read from as if
// they were the standard streams.
void OpenStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) != -1 || errno != EBADF) continue;
    // A file that cannot be used the other way, so that its use fails as that of a closed one does.
    (void)open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// An option that was given without a value, as by an unset variable of a shell: what it asks for
// would silently not be done. Texts may be empty.
std::string EmptyOption(const CLI::App& command) {
  constexpr std::array<std::string_view, 9> kTexts = {"--prompt", "--system", "--prefix",
                                                      "--ask",    "--once",   "--catalyst",
                                                      "--stop",   "text",     "query"};
  for (const CLI::Option* option : command.get_options()) {
    std::string name = option->get_name();
    if (std::ranges::find(kTexts, name) != kTexts.end()) continue;
    for (const std::string& value : option->results()) {
      if (value.empty()) return name;
    }
  }
  for (const CLI::App* part : command.get_subcommands()) {
    if (std::string name = EmptyOption(*part); !name.empty()) return name;
  }
  return "";
}

int Main(int argc, char** argv) {
  OpenStandardStreams();
  // Writing beyond a limit of files' sizes is then an error like others.
  std::signal(SIGXFSZ, SIG_IGN);

  CLI::App app("Ondine: language models in a fixed memory, fitted to their user.", "ondine");
  app.require_subcommand(1);
  app.footer("Example:\n  ondine read book.txt --pot 2048 --ask \"Who tells the story?\"");
  app.set_version_flag("--version", std::string("ondine ") + ONDINE_VERSION);

  std::vector<std::pair<CLI::App*, Action>> commands;
  for (Action (*add)(CLI::App&) :
       {AddInfo, AddTokenize, AddRun, AddChat, AddRead, AddCustomize, AddConvertAdapter, AddRoute,
        AddServe, AddQuantize, AddImages, AddConvertClip, AddPerplexity, AddBench, AddEval}) {
    const Action action = add(app);
    commands.emplace_back(app.get_subcommands({}).back(), action);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      app.exit(error);  // prints the help or version that was asked for
      return FlushOutput() ? 0 : 1;
    }
    const std::string unknown = UnknownCommand(app, argc, argv);
    PrintError((unknown.empty() ? error.what() : "there is no command " + base::Quote(unknown)) +
               " (see --help)");
    return 2;
  }
  if (const std::string empty = EmptyOption(app); !empty.empty()) {
    PrintError(empty + " was given without a value");
    return 2;
  }
  InstallInterruptHandler();
  const auto fail = [](const Error& error) {
    PrintError(error.ToString());
    return error.code == ErrorCode::kInvalidArgument ? 2 : 1;
  };
  for (const auto& [command, action] : commands) {
    if (!command->parsed()) continue;
    const Status status = action();
    const Status written = FlushOutput();
    if (!status) return fail(status.error());
    return written ? 0 : fail(written.error());
  }
  return 2;
}

}  // namespace
}  // namespace ondine::cli

int main(int argc, char** argv) {
  try {
    return ondine::cli::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, or a bug
    std::fprintf(stderr, "ondine: %s\n", error.what());
    return 1;
  }
}
