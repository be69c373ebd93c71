#include "train/clip_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/option_checks.h"
#include "base/try.h"
#include "train/clip_file.h"
#include "train/clip_training.h"
#include "train/run_options.h"
#include "train/training_log.h"

namespace ondine::train {
namespace {

using formats::TensorType;
using nlohmann::json;

// What is cut off at most of a photo's sides is there when it is decoded.
constexpr double kMargin = 1.25;

struct ClipCommand {
  std::string data = "../shared/data", merges, out, name, log;
  models::ClipSpec spec;
  TensorType type = TensorType::kQ8_0;
  ClipTrainingOptions training;
  StopToken interrupt;
};

models::ClipSpec DefaultSpec() {
  models::ClipSpec spec;
  spec.projection = 256;
  spec.activation = models::ClipActivation::kGelu;
  spec.text = {.layers = 4, .width = 256, .heads = 4};
  spec.vocabulary = 8192;
  spec.context = 48;
  spec.image = {.layers = 6, .width = 256, .heads = 4};
  spec.image_size = 64;
  spec.patch_size = 8;
  spec.mean = spec.deviation = {0.5F, 0.5F, 0.5F};
  spec.resize = models::ResizeMode::kSquash;  // nothing is cut off
  return spec;
}

json ToJson(const ClipStepReport& report) {
  return {{"event", "step"},
          {"step", report.step},
          {"steps", report.steps},
          {"epoch", report.epoch},
          {"loss", report.loss},
          {"name_loss", report.name_loss},
          {"attribute_loss", report.attribute_loss},
          {"learning_rate", report.learning_rate},
          {"gradient", report.gradient},
          {"logit_scale", report.logit_scale},
          {"photos_per_second", report.photos_per_second},
          {"seconds", report.seconds}};
}

json ToJson(const Recall& recall) {
  json record = json::object();
  for (std::size_t i = 0; i < recall.size(); ++i) record[std::to_string(kRecallAt[i])] = recall[i];
  return record;
}

json ToJson(const ZeroShotScore& score) {
  return {{"accuracy", score.accuracy}, {"balanced", score.balanced}};
}

json ToJson(std::int64_t step, const ClipScores& scores) {
  return {{"event", "validation"},
          {"step", step},
          {"photos_by_name", ToJson(scores.photos_by_name)},
          {"names_by_photo", ToJson(scores.names_by_photo)},
          {"type", ToJson(scores.type)},
          {"colour", ToJson(scores.colour)},
          {"gender", ToJson(scores.gender)}};
}

Status TrainAndWrite(const ClipCommand& command) {
  ClipTrainingOptions training = command.training;
  models::ClipSpec spec = command.spec;
  spec.name = command.name;
  for (models::TowerSpec* tower : {&spec.text, &spec.image}) tower->hidden = 4 * tower->width;

  ONDINE_ASSIGN(const std::string merges, base::ReadFile(command.merges));
  ONDINE_ASSIGN(const text::ClipVocabulary vocabulary,
                text::ClipVocabulary::FromMerges(merges, static_cast<std::int32_t>(spec.vocabulary),
                                                 command.merges));
  ONDINE_ASSIGN(const text::ClipTokenizer tokenizer, text::ClipTokenizer::Create(vocabulary));
  ONDINE_ASSIGN(FashionData fashion, LoadFashion(command.data));
  const int threads = training.threads > 0
                          ? training.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  ONDINE_ASSIGN(const PhotoSet photos, DecodePhotos(std::move(fashion.training),
                                                    static_cast<int>(kMargin * spec.image_size),
                                                    threads, command.interrupt));
  ONDINE_ASSIGN(
      const PhotoSet validation,
      DecodePhotos(std::move(fashion.validation), spec.image_size, threads, command.interrupt));
  training.origin.Add("photos", "Fashion Product Images (Small) by Param Aggarwal (MIT licence)");
  training.origin.Add("count", photos.items.size());

  TrainingLog log;
  ProgressLine line;
  std::string provenance;
  ClipTrainingObserver observer;
  observer.stop_token = command.interrupt;
  observer.on_start = [&](const Settings& settings) -> Status {
    ONDINE_TRY(base::CheckWritable(command.out));
    ONDINE_TRY(log.Open(command.log, training.resume));
    provenance = settings.Text();
    log.Write({{"event", "start"},
               {"photos", photos.items.size()},
               {"validation_photos", validation.items.size()},
               {"settings", settings.entries()}});
    return {};
  };
  observer.on_step = [&](const ClipStepReport& report) {
    char rate[32];
    std::snprintf(rate, sizeof(rate), "%.0f photos/s, ", report.photos_per_second);
    line.Show(report.step, report.steps, report.loss, report.seconds, rate);
    log.Write(ToJson(report));
  };
  observer.on_validation = [&](std::int64_t step, const ClipScores& scores) {
    log.Write(ToJson(step, scores));
  };
  ONDINE_ASSIGN(const TrainedClip clip,
                TrainClip(spec, tokenizer, photos, validation, training, observer));
  if (clip.weights.empty()) return {};  // another process writes them
  ONDINE_TRY(WriteClip(clip, vocabulary, provenance, command.type, command.out));
  return log.Close(command.log);
}

void AddOptions(CLI::App& app, ClipCommand& command) {
  ClipTrainingOptions& training = command.training;
  models::ClipSpec& spec = command.spec;
  app.add_option("--data", command.data, "folder that holds images/fashion")->capture_default_str();
  app.add_option("--merges", command.merges,
                 "the tokenizer's merges, one a line, such as CLIP's bpe_simple_vocab_16e6.txt")
      ->required();
  app.add_option("-o,--out", command.out, "GGUF file to write")->required();
  app.add_option("--name", command.name, "of the model, in its file");
  app.add_option("--log", command.log, "file for one JSON record a step and validation");
  app.add_option("--type", command.type, "of matrices in the file: q8_0, f16, f32")
      ->transform(base::OneOf<TensorType>(
          {{"q8_0", TensorType::kQ8_0}, {"f16", TensorType::kF16}, {"f32", TensorType::kF32}}))
      ->default_str("q8_0");

  const auto add_size = [&](const std::string& option, int& size, const std::string& help) {
    app.add_option(option, size, help)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  };
  add_size("--image-size", spec.image_size, "pixels a side");
  add_size("--patch", spec.patch_size, "pixels a side");
  add_size("--width", spec.image.width, "of the image tower");
  add_size("--layers", spec.image.layers, "of the image tower");
  add_size("--heads", spec.image.heads, "of the image tower");
  add_size("--text-width", spec.text.width, "");
  add_size("--text-layers", spec.text.layers, "");
  add_size("--text-heads", spec.text.heads, "");
  add_size("--projection", spec.projection, "length of the vectors");
  add_size("--vocabulary", spec.vocabulary, "tokens");
  add_size("--context", spec.context, "tokens of a text at most");

  AddStepOptions(app, training, "photos");
  app.add_option("--keep-patches", training.keep_patches,
                 "share of each photo's patches that a step reads, drawn anew each time")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1.0));
  app.add_option("--full-share", training.full_share, "share of the steps, the last, that read all")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  AddRunOptions(app, training);
  app.add_flag(
      "--bfloat16", training.bfloat16,
      "multiply with the layers' matrices in bfloat16: faster where the processor has such "
      "instructions");
}

}  // namespace

std::function<Status()> AddClip(CLI::App& app, StopToken interrupt) {
  auto command = std::make_shared<ClipCommand>();
  command->interrupt = std::move(interrupt);
  command->spec = DefaultSpec();
  CLI::App* clip = app.add_subcommand("clip", "Train a small CLIP on photos with names");
  clip->footer(
      "Examples:\n  ondine-train clip --merges bpe_simple_vocab_16e6.txt --bfloat16 -o clip.gguf\n"
      "  torchrun --no-python --nproc-per-node 2 ondine-train clip --merges "
      "bpe_simple_vocab_16e6.txt -o clip.gguf");
  AddOptions(*clip, *command);
  return [command]() -> Status {
    if (command->training.checkpoint.empty()) {
      command->training.checkpoint = command->out + ".checkpoint";
    }
    ONDINE_TRY(base::CheckDistinct(
        {command->merges, command->out, command->log, command->training.checkpoint}));
    return TrainAndWrite(*command);
  };
}

}  // namespace ondine::train
