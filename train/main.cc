// The program `ondine-train`: chooses the command and turns its outcome into an exit code.
#include <malloc.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "train/clip_command.h"
#include "train/pool_command.h"
#include "train/scales_command.h"
#include "train/token_weights_command.h"

namespace ondine::train {
namespace {

StopToken& Interrupt() {
  static StopToken token;
  return token;
}

// The token's flag is a lock-free atomic, which a handler may set.
extern "C" void HandleInterrupt(int) {
  if (Interrupt().Stopped()) std::_Exit(130);
  Interrupt().Stop();
}

int Fail(const std::string& message, int code) {
  std::fprintf(stderr, "ondine-train: %s\n", message.c_str());
  return code;
}

int Main(int argc, char** argv) {
  CLI::App app("Ondine's training component.", "ondine-train");
  app.require_subcommand(1);
  app.footer("Example:\n  ondine-train pool -m model.gguf --data ../shared/data -o pool.gguf");
  app.set_version_flag("--version", std::string("ondine-train ") + ONDINE_VERSION);
  const std::map<std::string, std::function<Status()>> commands = {
      {"pool", AddPool(app, Interrupt())},
      {"scales", AddScales(app, Interrupt())},
      {"clip", AddClip(app, Interrupt())},
      {"token-weights", AddTokenWeights(app, Interrupt())}};
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return app.exit(CLI::CallForHelp());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    return Fail(error.what() + std::string(" (see --help)"), 2);
  }
  // Tensors of many megabytes come and go all the time. Their memory stays with the process: the
  // system would clear every page before it hands it out again.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  std::signal(SIGINT, HandleInterrupt);
  std::signal(SIGTERM, HandleInterrupt);
  const Status status = commands.at(app.get_subcommands().front()->get_name())();
  if (status) return 0;
  return Fail(status.error().ToString(),
              status.error().code == ErrorCode::kInvalidArgument ? 2 : 1);
}

}  // namespace
}  // namespace ondine::train

int main(int argc, char** argv) {
  try {
    return ondine::train::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, or a bug
    std::fprintf(stderr, "ondine-train: %s\n", error.what());
    return 1;
  }
}
