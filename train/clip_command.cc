#include "train/clip_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/option_checks.h"
#include "base/try.h"
#include "formats/gguf.h"
#include "text/clip_tokenizer.h"
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
  std::optional<TensorType> type;
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
          {"strength_loss", report.strength_loss},
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

// What a training begins with.
struct Start {
  models::ClipSpec spec;
  text::ClipVocabulary vocabulary;
  std::string provenance;               // of the CLIP that it goes on from
  TensorType type = TensorType::kQ8_0;  // of its matrices
};

Result<Start> ReadStart(const ClipCommand& command) {
  Start start;
  if (command.training.start.empty()) {
    start.spec = command.spec;
    for (models::TowerSpec* tower : {&start.spec.text, &start.spec.image}) {
      tower->hidden = 4 * tower->width;
    }
    ONDINE_ASSIGN(const std::string merges, base::ReadFile(command.merges));
    ONDINE_ASSIGN(start.vocabulary,
                  text::ClipVocabulary::FromMerges(
                      merges, static_cast<std::int32_t>(start.spec.vocabulary), command.merges));
    return start;
  }
  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(command.training.start));
  ONDINE_ASSIGN(start.spec, models::ReadClipSpec(file));
  ONDINE_ASSIGN(start.vocabulary, text::ClipVocabulary::FromGguf(file));
  ONDINE_ASSIGN(const std::optional<std::string> provenance,
                file.FindString("ondine.clip.provenance"));
  start.provenance = ", from a CLIP of: " + provenance.value_or("unknown provenance");
  const formats::GgufTensor* const matrix = file.FindTensor("t.blk.0.attn_q.weight");
  if (matrix != nullptr && matrix->type != TensorType::kQ8_0) {
    // Whatever else it is, floats hold it as it is.
    start.type = matrix->type == TensorType::kF16 ? TensorType::kF16 : TensorType::kF32;
  }
  return start;
}

Status TrainAndWrite(const ClipCommand& command) {
  ClipTrainingOptions training = command.training;
  ONDINE_ASSIGN(const Start start, ReadStart(command));
  const models::ClipSpec& spec = start.spec;
  ONDINE_ASSIGN(const text::ClipTokenizer tokenizer, text::ClipTokenizer::Create(start.vocabulary));
  ONDINE_ASSIGN(FashionData fashion, LoadFashion(command.data));
  const int threads = training.threads > 0
                          ? training.threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const double margin = training.texts_only ? 1 : kMargin;
  ONDINE_ASSIGN(const PhotoSet photos, DecodePhotos(std::move(fashion.training),
                                                    static_cast<int>(margin * spec.image_size),
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
    provenance = settings.Text() + start.provenance;
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
  ONDINE_ASSIGN(TrainedClip clip,
                TrainClip(spec, tokenizer, photos, validation, training, observer));
  if (clip.weights.empty()) return {};  // another process writes them
  if (!command.name.empty()) clip.spec.name = command.name;
  ONDINE_TRY(WriteClip(clip, start.vocabulary, provenance, command.type.value_or(start.type),
                       command.out));
  return log.Close(command.log);
}

void AddOptions(CLI::App& app, ClipCommand& command) {
  ClipTrainingOptions& training = command.training;
  models::ClipSpec& spec = command.spec;
  app.add_option("--data", command.data, "folder that holds images/fashion")->capture_default_str();
  CLI::Option* from = app.add_option("--from", training.start,
                                     "CLIP (GGUF) to go on from: its shape and vocabulary");
  app.add_option("--merges", command.merges,
                 "the tokenizer's merges, one a line, such as CLIP's bpe_simple_vocab_16e6.txt")
      ->excludes(from);
  app.add_option("-o,--out", command.out, "GGUF file to write")->required();
  app.add_option("--name", command.name, "of the model, in its file");
  app.add_option("--log", command.log, "file for one JSON record a step and validation");
  app.add_option("--type", command.type,
                 "of matrices in the file: q8_0, f16, f32 (default: as in --from, or q8_0)")
      ->transform(base::OneOf<TensorType>(
          {{"q8_0", TensorType::kQ8_0}, {"f16", TensorType::kF16}, {"f32", TensorType::kF32}}));

  const auto add_size = [&](const std::string& option, int& size, const std::string& help) {
    app.add_option(option, size, help)
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20))
        ->excludes(from);
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
  CLI::Option* texts_only =
      app.add_flag("--texts-only", training.texts_only,
                   "train the text tower alone, so that vectors of photos stay what they are")
          ->needs(from);
  app.add_option("--keep-patches", training.keep_patches,
                 "share of each photo's patches that a step reads, drawn anew each time")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1.0))
      ->excludes(texts_only);
  app.add_option("--full-share", training.full_share, "share of the steps, the last, that read all")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0))
      ->excludes(texts_only);
  app.add_option(
         "--strengths", training.strengths,
         "above 0: teach texts to follow strengths of words, with a loss that counts so much "
         "beside the plain one")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
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
      "bpe_simple_vocab_16e6.txt -o clip.gguf\n"
      "  ondine-train clip --from clip.gguf --texts-only --strengths 3 --learning-rate 5e-4 "
      "--epochs 10 -o strengths.clip.gguf");
  AddOptions(*clip, *command);
  return [command]() -> Status {
    if (command->training.checkpoint.empty()) {
      command->training.checkpoint = command->out + ".checkpoint";
    }
    if (command->merges.empty() && command->training.start.empty()) {
      return MakeError(ErrorCode::kInvalidArgument, "--merges or --from is needed");
    }
    ONDINE_TRY(base::CheckDistinct({command->merges, command->training.start, command->out,
                                    command->log, command->training.checkpoint}));
    return TrainAndWrite(*command);
  };
}

}  // namespace ondine::train
