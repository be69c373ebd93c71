// ondine perplexity: how well a model predicts a text, in llama.cpp's convention.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "engine/perplexity.h"
#include "ondine/session.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  PotChoice pot;
  std::string file, kl_base;
  std::int64_t context = 512, chunks = -1;
  bool json = false, progress = false;
};

Status Perplexity(const Options& options) {
  ONDINE_ASSIGN(const std::string text, ReadTextFile(options.file, InterruptToken()));
  ONDINE_ASSIGN(const auto model, options.model.Load());
  engine::PerplexityOptions settings;
  settings.context = options.context;
  settings.chunks = options.chunks;
  settings.threads = options.model.threads;
  ONDINE_ASSIGN(settings.adapters, options.adapter.Load(model));
  settings.kl_base = options.kl_base;
  if (options.pot.slots > 0) {
    ONDINE_ASSIGN(settings.pot, options.pot.Settings(*model));
  }
  settings.stop_token = InterruptToken();
  ProgressLine line(options.progress);
  settings.on_progress = [&](const engine::PerplexityProgress& progress) {
    line.Show("chunk " + Grouped(progress.chunk) + "/" + Grouped(progress.chunks) + ", PPL " +
              Fixed(progress.perplexity, 4) + ", " +
              TimeLeft(progress.seconds, progress.chunk, progress.chunks));
  };
  ONDINE_ASSIGN(const engine::PerplexityResult result,
                engine::MeasurePerplexity(*model, text, settings));
  line.Clear();
  if (options.json) {
    nlohmann::json out = {{"ppl", result.perplexity},   {"stderr", result.standard_error},
                          {"tokens", result.tokens},    {"chunks", result.chunks},
                          {"context", options.context}, {"seconds", result.seconds}};
    if (result.divergence) {
      out["kld_mean"] = result.divergence->mean;
      out["kld_stderr"] = result.divergence->standard_error;
      out["kld_max"] = result.divergence->largest;
      out["top1_agreement"] = result.divergence->top1_agreement;
    }
    std::cout << Dump(out) << "\n";
    return {};
  }
  std::printf("Final estimate: PPL = %.4f +/- %.5f\n", result.perplexity, result.standard_error);
  if (result.divergence) {
    std::printf("Mean KLD: %.6f +/- %.6f, largest %.4f; same top token: %.2f %%\n",
                result.divergence->mean, result.divergence->standard_error,
                result.divergence->largest, 100 * result.divergence->top1_agreement);
  }
  return {};
}

}  // namespace

Action AddPerplexity(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  command->footer(
      "Example:\n  ondine perplexity -f wiki.test.txt --ctx 512 --chunks 40\n"
      "  ondine perplexity -f novel.txt --pot 1024 --policy streaming");
  options->model.AddTo(*command);
  options->adapter.AddTo(*command);
  command->add_option("-f,--file", options->file, "text (-: standard input)")->required();
  command->add_option("--ctx", options->context, "tokens of a chunk; its second half is scored")
      ->capture_default_str()
      ->check(CLI::Range(4, 1 << 20));
  command->add_option("--chunks", options->chunks, "at most this many chunks (default: all)")
      ->check(CLI::Range(1, 1 << 24));
  command->add_option("--kl-base", options->kl_base,
                      "file of logits: written where it is not there, compared with where it is");
  options->pot.AddAll(*command, PotChoice::Default::kNone);
  command->get_option("--pot")->description(
      "read the text as one stream through a pot of so many entries; all tokens behind the first "
      "chunk are scored");
  command->add_flag("--progress", options->progress,
                    "show progress even where stderr is no terminal");
  command->add_flag("--json", options->json, "print as JSON");
  return [options] { return Perplexity(*options); };
}

}  // namespace ondine::cli
