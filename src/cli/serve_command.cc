// ondine serve: a pool of adapters for devices that do not hold it.
#include <iostream>
#include <memory>
#include <string>

#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "ondine/pool_server.h"
#include "serve/http_address.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  std::string pool, host = "127.0.0.1";
  int port = 8080;
};

Status Serve(const Options& options) {
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(const auto pool,
                AdapterPool::Load(model, options.pool.empty() ? DefaultPoolPath() : options.pool));
  ONDINE_ASSIGN(PoolServer server, PoolServer::Create(pool, options.host, options.port));
  PrintNote("Serving " + std::to_string(pool->info().adapters) + " adapters for " +
            model->info().name + " at " +
            serve::HttpAddress{false, options.host, server.port(), ""}.ToString() +
            ". Ctrl-C ends it, a second one at once.");
  return server.Run(InterruptToken());
}

}  // namespace

Action AddServe(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("serve", "Blend a pool's adapters for devices that do not hold it");
  command->footer(
      "Example:\n  ondine serve --port 8080\n"
      "  ondine customize --pool-server http://127.0.0.1:8080 --examples mine.jsonl -o mine.gguf");
  options->model.AddTo(*command);
  command->add_option("--pool", options->pool,
                      "pool of adapters (default: the one that comes along with the program)");
  command->add_option("--host", options->host, "address to listen at")->capture_default_str();
  command->add_option("--port", options->port, "0: any free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  return [options] { return Serve(*options); };
}

}  // namespace ondine::cli
