// ondine convert-clip: a CLIP checkpoint as a GGUF file.
#include <iostream>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/option_checks.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/report.h"
#include "ondine/images.h"

namespace ondine::cli {
namespace {

struct Options {
  std::string folder, output;
  MatrixType type = MatrixType::kF16;
  bool json = false;
};

Status Convert(const Options& options) {
  ONDINE_TRY(base::CheckOutput(options.output, CheckpointFiles(options.folder)));
  ONDINE_TRY(ConvertClip(options.folder, options.output, options.type));
  ONDINE_ASSIGN(const auto clip, Clip::Load(options.output));  // it must be of use
  const ClipInfo& info = clip->info();
  if (options.json) {
    std::cout << Dump({{"name", info.name},
                       {"vector_length", info.vector_length},
                       {"picture_size", info.picture_size},
                       {"output", options.output}})
              << "\n";
    return {};
  }
  std::cout << info.name << ": pictures of " << info.picture_size << " x " << info.picture_size
            << " pixels, vectors of " << info.vector_length << " numbers.\nWritten to "
            << options.output << "\n";
  return {};
}

}  // namespace

Action AddConvertClip(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "convert-clip", "Make a CLIP of transformers or OpenCLIP into a GGUF file");
  command->footer(
      "ViT models of OpenAI and OpenCLIP, as safetensors.\n\nExample:\n"
      "  ondine convert-clip clip-vit-base-patch32/ -o clip.gguf\n"
      "  ondine images encode --clip clip.gguf \"a (red:1.6) shoe\"");
  command
      ->add_option(
          "folder", options->folder,
          "folder with config.json, model.safetensors and merges.txt or tokenizer.json; or "
          "with open_clip_config.json and open_clip_model.safetensors")
      ->required();
  command->add_option("-o,--output", options->output, "GGUF file to write")->required();
  command
      ->add_option("--type", options->type,
                   "of matrices: f16; bf16, less exact and faster where the CPU has AVX-512 BF16; "
                   "f32")
      ->transform(base::OneOf<MatrixType>(
          {{"f16", MatrixType::kF16}, {"bf16", MatrixType::kBF16}, {"f32", MatrixType::kF32}}))
      ->default_str("f16");
  command->add_flag("--json", options->json, "print as JSON");
  return [options] { return Convert(*options); };
}

}  // namespace ondine::cli
