// ondine customize: an adapter for a task, from a few examples and a pool.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/server_options.h"
#include "ondine/adapter_pool.h"
#include "ondine/pool_server.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  std::string pool, pool_server, key_file, examples, output, form;
  std::vector<double> weights;
  std::optional<double> temperature;
  bool json = false;
};

void Print(const PoolWeights& result) {
  std::printf("adapter  similarity  weight\n");
  for (std::size_t n = 0; n < result.weights.size(); ++n) {
    const std::string similarity =
        result.similarities.empty() ? "-" : Fixed(result.similarities[n], 3);
    std::printf(
        "%7zu  %10s  %6.3f  %s\n", n, similarity.c_str(), result.weights[n],
        std::string(static_cast<std::size_t>(40 * std::clamp(result.weights[n], 0.0, 1.0)), '#')
            .c_str());
  }
  std::fflush(stdout);
}

// The pool is on a server; the examples stay here.
Status CustomizeFromServer(const Options& options) {
  if (options.output.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "name the file to write with -o");
  }
  ONDINE_ASSIGN(const std::string path, options.model.Path());
  ONDINE_TRY(base::CheckOutput(options.output, {path, options.examples, options.key_file}));
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(const auto examples, LoadExamples(options.examples));
  ServerSettings server;
  server.url = options.pool_server;
  if (!options.key_file.empty()) {
    ONDINE_ASSIGN(server.key, ReadKeyFile(options.key_file));
  }
  const base::Timer timer;
  ONDINE_ASSIGN(const RemoteCustomization result,
                CustomizeFrom(server, model, examples, options.output, InterruptToken()));
  const double milliseconds = 1000 * timer.Elapsed();
  const double size = result.adapter->RelativeSize(*model);
  if (options.json) {
    std::cout << Dump({{"pool_server", options.pool_server},
                       {"examples", examples.size()},
                       {"similarities", result.similarities},
                       {"sent", result.sent},
                       {"rank", result.adapter->info().rank},
                       {"relative_size", size},
                       {"milliseconds", milliseconds},
                       {"adapter", options.output}})
              << "\n";
    return {};
  }
  std::cout << "All that left: " << VisibleLine(result.sent) << "\nBlended by the server in "
            << Fixed(milliseconds, 1) << " ms: rank " << result.adapter->info().rank << ", "
            << Fixed(100 * size, 2) << " % of the size of the matrices it changes.\nWritten to "
            << options.output << "\n";
  return {};
}

Status Customize(const Options& options) {
  ONDINE_ASSIGN(const std::string path, options.model.Path());
  ONDINE_TRY(base::CheckOutput(options.output, {path, options.pool, options.examples}));
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(const auto pool, AdapterPool::Load(model, options.pool));
  std::optional<BlendForm> form;
  if (!options.form.empty()) {
    ONDINE_ASSIGN(form, ParseBlendForm(options.form));
  }
  std::vector<Example> examples;
  if (options.weights.empty()) {
    ONDINE_ASSIGN(examples, LoadExamples(options.examples));
  }
  const base::Timer timer;
  PoolWeights weights{{}, options.weights};
  if (options.weights.empty()) {
    ONDINE_ASSIGN(weights, pool->Weigh(examples, options.temperature));
  }
  ONDINE_ASSIGN(const auto adapter, pool->Blend(weights.weights, form));
  const double milliseconds = 1000 * timer.Elapsed();
  if (!options.output.empty()) ONDINE_TRY(adapter->Save(options.output));

  const double size = adapter->RelativeSize(*model);
  if (options.json) {
    std::cout << Dump({{"pool", options.pool},
                       {"examples", examples.size()},
                       {"similarities", weights.similarities},
                       {"weights", weights.weights},
                       {"blend", BlendFormName(form.value_or(pool->info().blend))},
                       {"rank", adapter->info().rank},
                       {"relative_size", size},
                       {"milliseconds", milliseconds},
                       {"adapter", options.output}})
              << "\n";
    return {};
  }
  Print(weights);
  std::cout << "Blended in " << Fixed(milliseconds, 1) << " ms: rank " << adapter->info().rank
            << ", " << Fixed(100 * size, 2) << " % of the size of the matrices it changes.\n";
  if (!options.output.empty()) std::cout << "Written to " << options.output << "\n";
  return {};
}

}  // namespace

Action AddCustomize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("customize", "Blend a pool's adapters for a task given by examples");
  command->footer(
      "Examples are JSON lines with \"prompt\" and, where there is one, \"answer\"; only prompts "
      "are "
      "looked at.\n\nExample:\n  ondine customize --examples mine.jsonl --pool pool.gguf -o "
      "mine.gguf\n  ondine run --adapter mine.gguf -p \"...\"");
  options->model.AddTo(*command);
  CLI::Option* pool =
      command->add_option("--pool", options->pool,
                          "pool of adapters, a GGUF file (default: the one that comes along "
                          "with the program)");
  CLI::Option* server = command->add_option(
      "--pool-server", options->pool_server,
      "address of an `ondine serve` that has the pool: nothing but similarities leaves");
  server->excludes(pool);
  command->add_option("--server-key-file", options->key_file, "file with the key of that server")
      ->needs(server);
  CLI::Option* examples = command->add_option("--examples", options->examples,
                                              "file of JSON lines (-: standard input)");
  command->add_option("--weights", options->weights, "one for each adapter, instead of examples")
      ->delimiter(',')
      ->excludes(examples)
      ->excludes(server);
  command->add_option("-o,--output", options->output, "write the adapter to this GGUF file");
  command
      ->add_option("--blend", options->form,
                   "separate or product (default: what the pool was trained for)")
      ->excludes(server);
  command
      ->add_option("--temperature", options->temperature,
                   "of the weights (default: the pool's); high: all alike, low: the nearest one")
      ->needs(examples)
      ->excludes(server);
  command->add_flag("--json", options->json, "print as JSON");
  return [options]() -> Status {
    if (options->examples.empty() && options->weights.empty()) {
      return MakeError(ErrorCode::kInvalidArgument, "name a file of examples with --examples");
    }
    if (!options->pool_server.empty()) return CustomizeFromServer(*options);
    if (options->pool.empty()) options->pool = DefaultPoolPath();
    return Customize(*options);
  };
}

}  // namespace ondine::cli
