#include "train/scales_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/file.h"
#include "base/join.h"
#include "base/option_checks.h"
#include "base/try.h"
#include "compute/thread_pool.h"
#include "formats/fingerprint.h"
#include "formats/gguf.h"
#include "models/base_fingerprint.h"
#include "models/decoder.h"
#include "ondine/session.h"
#include "quant/scales_file.h"
#include "text/tokenizer.h"
#include "train/run_options.h"
#include "train/scale_training.h"
#include "train/training_log.h"

namespace ondine::train {
namespace {

using nlohmann::json;

struct ScalesCommand {
  std::string model, text, validation, out, tuned_model, name, log;
  std::vector<std::string> sites = {"attention_norm", "mlp_norm", "up"};
  std::size_t sequences = 128, validation_sequences = 8, context = 512;
  bool per_tensor = false;
  std::string learn = "both";
  ScaleTrainingOptions training;
  StopToken interrupt;
};

// Straight rows of `context` tokens, at most `most`.
Result<std::vector<TokenTree>> Sequences(const std::string& path, const text::Tokenizer& tokenizer,
                                         std::size_t context, std::size_t most) {
  ONDINE_ASSIGN(const std::string text, ReadTextFile(path));
  const std::vector<std::int32_t> tokens = tokenizer.Encode(text);
  if (tokens.size() < context) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "has " + std::to_string(tokens.size()) + " tokens; at least one sequence of " +
                         std::to_string(context) + " is needed",
                     path);
  }
  std::vector<TokenTree> sequences;
  for (std::size_t at = 0; at + context <= tokens.size() && sequences.size() < most;
       at += context) {
    TokenTree& row = sequences.emplace_back();
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(at);
    row.tokens.assign(begin, begin + static_cast<std::ptrdiff_t>(context));
    if (tokenizer.adds_bos() && tokenizer.bos()) row.tokens.front() = *tokenizer.bos();
    for (std::size_t i = 0; i < context; ++i) {
      row.positions.push_back(static_cast<std::int32_t>(i));
      row.branches.push_back(0);
    }
  }
  return sequences;
}

// Of the tokens.
std::string Fingerprint(const std::vector<TokenTree>& sequences) {
  base::Checksum hash;
  for (const TokenTree& row : sequences) hash.Update(std::as_bytes(std::span(row.tokens)));
  return hash.Digits();
}

// Those that the architecture has.
std::vector<models::FoldSite> Sites(const std::vector<std::string>& names,
                                    const models::DecoderSpec& spec) {
  std::vector<models::FoldSite> sites;
  for (std::size_t i = 0; i < models::kFoldSites; ++i) {
    const auto site = static_cast<models::FoldSite>(i);
    const bool wanted = std::ranges::find(names, models::kFoldSiteNames[i]) != names.end();
    if (wanted && FoldWidth(spec, site) > 0) sites.push_back(site);
  }
  return sites;
}

std::vector<std::string> SiteOptions() {
  return {models::kFoldSiteNames.begin(), models::kFoldSiteNames.end()};
}

Status TrainAndWrite(const ScalesCommand& command) {
  ScaleTrainingOptions training = command.training;
  training.scheme.per_channel = !command.per_tensor;
  training.learn_rounding = command.learn == "rounding";
  training.learn_weights = !command.tuned_model.empty() && !training.learn_rounding;
  training.codes = command.learn != "weights";
  training.learn_scales = command.learn == "both" || command.learn == "scales";
  training.learn_ranges =
      training.scheme.outliers == 0 && (command.learn == "both" || command.learn == "ranges");
  if (command.learn == "ranges" && !training.learn_ranges) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "with --outliers ranges follow from the text: there is nothing to learn");
  }
  if (command.tuned_model.empty() && (!training.codes || training.learn_rounding)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "weights, or their rounding, are learned into a model: --tuned-model is "
                     "needed");
  }

  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(command.model));
  ONDINE_ASSIGN(const text::Tokenizer tokenizer, text::Tokenizer::FromGguf(file));
  compute::ThreadPool threads(1);
  ONDINE_ASSIGN(const auto decoder, models::Decoder::Load(file, threads));
  if (decoder->quantization() || decoder->fold()) {
    return MakeError(ErrorCode::kInvalidArgument, "the model is quantised or folded already",
                     command.model);
  }
  training.sites = Sites(command.sites, decoder->spec());
  ONDINE_ASSIGN(const auto sequences,
                Sequences(command.text, tokenizer, command.context, command.sequences));
  std::vector<TokenTree> validation;
  if (!command.validation.empty()) {
    ONDINE_ASSIGN(validation, Sequences(command.validation, tokenizer, command.context,
                                        command.validation_sequences));
  }
  ONDINE_ASSIGN(const std::optional<std::string> base_name, file.FindString("general.name"));
  training.origin.Add("model", base_name.value_or("without name"));
  training.origin.Add("file", formats::Fingerprint(file));
  training.origin.Add("text", Fingerprint(sequences));

  TrainingLog log;
  ProgressLine line;
  ScaleTrainingObserver observer;
  observer.stop_token = command.interrupt;
  observer.on_start = [&](const Settings& settings) -> Status {
    ONDINE_TRY(base::CheckWritable(command.out));
    if (!command.tuned_model.empty()) ONDINE_TRY(base::CheckWritable(command.tuned_model));
    ONDINE_TRY(log.Open(command.log, training.resume));
    log.Write({{"event", "start"},
               {"sequences", sequences.size()},
               {"validation_sequences", validation.size()},
               {"settings", settings.entries()}});
    return {};
  };
  observer.on_step = [&](const ScaleStepReport& report) {
    const std::string place =
        report.layer ? "layer " + std::to_string(*report.layer) + ", " : "all layers, ";
    line.Show(report.step, report.steps, report.loss, report.seconds, place);
    json record = {{"event", "step"},
                   {"step", report.step},
                   {"steps", report.steps},
                   {"loss", report.loss},
                   {"seconds", report.seconds}};
    if (report.layer) record["layer"] = *report.layer;
    log.Write(record);
  };
  observer.on_validation = [&](const ScaleValidationReport& report) {
    log.Write({{"event", "validation"},
               {"step", report.step},
               {"perplexity", report.perplexity},
               {"float_perplexity", report.float_perplexity},
               {"divergence", report.divergence}});
  };
  ONDINE_ASSIGN(TrainedScales trained,
                TrainScales(*decoder, sequences, validation, training, observer));
  quant::Scales& scales = trained.scales;
  if (scales.base_fingerprint.empty()) return {};  // another process writes them
  if (!trained.weights.empty()) {
    ONDINE_TRY(WriteTunedModel(file, trained.weights, command.tuned_model));
    ONDINE_ASSIGN(const formats::GgufFile tuned_file, formats::GgufFile::Open(command.tuned_model));
    ONDINE_ASSIGN(const auto tuned, models::Decoder::Load(tuned_file, threads));
    scales.base_fingerprint = models::BaseFingerprint(*tuned);
  }
  scales.name = command.name;
  ONDINE_TRY(quant::WriteScales(scales, decoder->spec(), command.out));
  ONDINE_TRY(log.Close(command.log));
  std::printf("Written to %s\n", command.out.c_str());
  return {};
}

void AddOptions(CLI::App& app, ScalesCommand& command) {
  ScaleTrainingOptions& training = command.training;
  using Target = ScaleTrainingOptions::Target;
  app.add_option("-m,--model", command.model, "base model, a GGUF file")->required();
  app.add_option("--text", command.text, "text to learn from")->required();
  app.add_option("--validation", command.validation, "another text, to be watched");
  app.add_option("-o,--out", command.out, "file of scales to write")->required();
  app.add_option("--name", command.name, "of the scales, in their file");
  app.add_option("--log", command.log, "file for one JSON record a step and validation");
  app.add_option("--sequences", command.sequences, "of the text, at most")
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--context", command.context, "tokens of a sequence")
      ->capture_default_str()
      ->check(CLI::Range(2, 1 << 16));
  app.add_option("--validation-sequences", command.validation_sequences)->capture_default_str();

  app.add_option("--sites", command.sites, "where scales stand: " + base::Join(SiteOptions(), ", "))
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember(SiteOptions()));
  app.add_option("--weight-bits", training.scheme.weight_bits)
      ->capture_default_str()
      ->check(CLI::Range(2, 8));
  app.add_option("--activation-bits", training.scheme.activation_bits)
      ->capture_default_str()
      ->check(CLI::Range(2, 8));
  app.add_option("--outliers", training.scheme.outliers,
                 "share of each input's values that stay as they are, as ondine quantize "
                 "--outliers has it; 0: ranges are learned, and clip")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.2));
  app.add_flag("--per-tensor", command.per_tensor, "one scale of weights for a whole matrix");
  using Start = ScaleTrainingOptions::Start;
  app.add_option(
         "--start", training.start,
         "scales to begin with: smooth (SmoothQuant), equalized (cross-layer equalisation), "
         "ones")
      ->transform(base::OneOf<Start>(
          {{"smooth", Start::kSmooth}, {"equalized", Start::kEqualized}, {"ones", Start::kOnes}}))
      ->default_str("smooth");
  app.add_option("--smooth", training.smooth, "strength of SmoothQuant's scales")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--learn", command.learn)
      ->capture_default_str()
      ->check(CLI::IsMember({"both", "scales", "ranges", "nothing", "rounding", "weights"}));
  app.add_option("--tuned-model", command.tuned_model,
                 "learn all weights too, and write a model with them: quantisation-aware training, "
                 "or with --learn weights that of the float model");
  app.add_option("--weight-rate", training.weight_rate, "learning rate of weights")
      ->capture_default_str()
      ->check(base::Positive());

  app.add_option("--layer-steps", training.layer_steps, "of each layer by itself")
      ->capture_default_str()
      ->check(base::NotNegative());
  app.add_option("--layer-rate", training.layer_rate, "learning rate of these")
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--steps", training.steps, "of all layers together")
      ->capture_default_str()
      ->check(base::NotNegative());
  app.add_option("--rate", training.rate, "learning rate of these")
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--target", training.target,
                 "model: the float model's distribution; text: the next token")
      ->transform(base::OneOf<Target>({{"model", Target::kModel}, {"text", Target::kText}}))
      ->default_str("model");
  app.add_option("--batch", training.batch, "sequences a step, of all processes together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  app.add_flag(
      "--bfloat16", training.bfloat16,
      "multiply codes in bfloat16, which holds them exactly: faster where the processor has "
      "AVX-512 BF16 or AMX");
  AddRunOptions(app, training);
}

}  // namespace

std::function<Status()> AddScales(CLI::App& app, StopToken interrupt) {
  auto command = std::make_shared<ScalesCommand>();
  command->interrupt = std::move(interrupt);
  CLI::App* scales =
      app.add_subcommand("scales", "Learn channel scales that make a model fit static 8-bit codes");
  scales->footer(
      "Example:\n  ondine-train scales -m model.gguf --text text.txt -o scales.gguf\n"
      "  ondine quantize -m model.gguf --scales scales.gguf -o model.w8a8.gguf");
  AddOptions(*scales, *command);
  return [command]() -> Status {
    if (command->training.checkpoint.empty()) {
      command->training.checkpoint = command->out + ".checkpoint";
    }
    // The same text may be learned from and watched.
    for (const std::string& text : {command->text, command->validation}) {
      ONDINE_TRY(base::CheckDistinct({command->model, text, command->out, command->tuned_model,
                                      command->log, command->training.checkpoint}));
    }
    return TrainAndWrite(*command);
  };
}

}  // namespace ondine::train
