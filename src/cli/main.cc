// The program `ondine`: chooses the command and turns its outcome into an exit code.
#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/console.h"

namespace ondine::cli {
namespace {

int Main(int argc, char** argv) {
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
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    PrintError(error.what() + std::string(" (see --help)"));
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
