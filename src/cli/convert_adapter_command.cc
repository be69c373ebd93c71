// ondine convert-adapter: an adapter of PEFT as a GGUF file.
#include <iostream>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "ondine/adapter.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  std::string folder, output;
  bool json = false;
};

Status Convert(const Options& options) {
  ONDINE_ASSIGN(const std::string path, options.model.Path());
  std::vector<std::string> inputs = CheckpointFiles(options.folder);
  inputs.push_back(path);
  ONDINE_TRY(base::CheckOutput(options.output, inputs));
  ONDINE_ASSIGN(const auto model, options.model.Load());
  ONDINE_ASSIGN(const auto adapter, Adapter::LoadPeft(*model, options.folder));
  ONDINE_TRY(adapter->Save(options.output));
  const AdapterInfo& info = adapter->info();
  const double size = adapter->RelativeSize(*model);
  if (options.json) {
    std::cout << Dump({{"tensors", info.matrices},
                       {"rank", info.rank},
                       {"alpha", info.alpha},
                       {"relative_size", size},
                       {"output", options.output}})
              << "\n";
    return {};
  }
  std::cout << info.matrices << " matrices, rank " << info.rank << ", alpha "
            << Fixed(info.alpha, 2) << ": " << Fixed(100 * size, 2)
            << " % of the size of the matrices it changes.\nWritten to " << options.output << "\n";
  return {};
}

}  // namespace

Action AddConvertAdapter(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("convert-adapter", "Make a LoRA adapter of PEFT into a GGUF file");
  command->footer(
      "The model is the one that the adapter was trained for, in any weight type.\n\nExample:\n"
      "  ondine convert-adapter -m model.gguf my-adapter/ -o mine.gguf\n"
      "  ondine run -m model.gguf --adapter mine.gguf -p \"...\"");
  options->model.AddTo(*command);
  command
      ->add_option("folder", options->folder,
                   "folder with adapter_config.json and adapter_model.safetensors")
      ->required();
  command->add_option("-o,--output", options->output, "GGUF file to write")->required();
  command->add_flag("--json", options->json, "print as JSON");
  return [options] { return Convert(*options); };
}

}  // namespace ondine::cli
