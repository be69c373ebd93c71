#include "train/pool_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "adapters/pool_file.h"
#include "base/file.h"
#include "base/join.h"
#include "base/option_checks.h"
#include "base/try.h"
#include "compute/thread_pool.h"
#include "eval/mcqa_data.h"
#include "formats/fingerprint.h"
#include "formats/gguf.h"
#include "models/base_fingerprint.h"
#include "models/decoder.h"
#include "text/tokenizer.h"
#include "train/pool_training.h"
#include "train/run_options.h"
#include "train/training_log.h"

namespace ondine::train {
namespace {

using nlohmann::json;

struct PoolCommand {
  std::string model, data = "../shared/data", out, name, log, objective = "answer";
  std::vector<std::string> tasks;
  std::vector<std::string> targets = {"q", "k", "v", "o"};
  double temperature = 0.1, mix = 0.5;
  std::optional<double> temperature_in_use;
  Mode mode = Mode::kJoint;
  std::size_t limit = 0, validation_items = 500, max_length = 768, group = 10;
  PoolTrainingOptions training;
  StopToken interrupt;
};

json ToJson(const StepReport& report) {
  return {{"event", "step"},
          {"step", report.step},
          {"steps", report.steps},
          {"epoch", report.epoch},
          {"loss", report.loss},
          {"learning_rate", report.learning_rate},
          {"gradient", report.gradient},
          {"tokens_per_second", report.tokens_per_second},
          {"seconds", report.seconds}};
}

json ToJson(const ValidationReport& report) {
  return {{"event", "validation"},
          {"step", report.step},
          {"answer_loss", report.answer_loss},
          {"choice_loss", report.choice_loss},
          {"accuracy", report.accuracy},
          {"similarity", report.similarity}};
}

Result<std::vector<eval::McqaItem>> Load(const PoolCommand& command, eval::McqaPart part,
                                         std::size_t limit) {
  std::vector<eval::McqaItem> all;
  for (const std::string& task : command.tasks) {
    ONDINE_ASSIGN(std::vector<eval::McqaItem> items, eval::LoadMcqa(command.data, task, part));
    if (limit > 0) items = eval::DrawItems(std::move(items), limit, command.training.seed);
    all.insert(all.end(), items.begin(), items.end());
  }
  return all;
}

// MMLU's subjects are what no pool has seen.
std::vector<std::string> DefaultTasks() {
  std::vector<std::string> tasks = eval::McqaTaskNames();
  std::erase_if(tasks, [](const std::string& task) { return task.starts_with("mmlu"); });
  return tasks;
}

double ChoiceShare(const PoolCommand& command) {
  if (command.objective == "mix") return command.mix;
  return command.objective == "choice" ? 1 : 0;
}

// What TrainPool cannot know.
Result<Settings> Origin(const PoolCommand& command, const formats::GgufFile& file) {
  ONDINE_ASSIGN(const std::optional<std::string> name, file.FindString("general.name"));
  Settings settings;
  settings.Add("model", name.value_or("without name"));
  // Which of its quantisations.
  settings.Add("file", formats::Fingerprint(file));
  settings.Add("tasks", base::Join(command.tasks, "+"));
  settings.Add("limit", command.limit > 0 ? std::to_string(command.limit) : "none");
  settings.Add("max-length", command.max_length);
  settings.Add("mode", command.mode == Mode::kJoint ? "joint" : "independent");
  settings.Add("group", command.group);
  settings.Add("temperature", command.temperature);
  settings.Add("objective", command.objective);
  return settings;
}

Status TrainAndWrite(const PoolCommand& command) {
  PoolTrainingOptions training = command.training;
  training.choice_share = ChoiceShare(command);
  training.shape.sites.clear();
  for (const models::LoraPlace& place : models::kLoraPlaces) {
    if (std::ranges::find(command.targets, place.option) != command.targets.end()) {
      training.shape.sites.push_back(place.site);
    }
  }

  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(command.model));
  ONDINE_ASSIGN(const text::Tokenizer tokenizer, text::Tokenizer::FromGguf(file));
  ONDINE_ASSIGN(const std::optional<std::string> base_name, file.FindString("general.name"));
  ONDINE_ASSIGN(training.origin, Origin(command, file));
  compute::ThreadPool threads(1);
  ONDINE_ASSIGN(const auto decoder, models::Decoder::Load(file, threads));

  for (const models::LoraSite site : training.shape.sites) {
    if (!(decoder->layers().front().*models::PlaceOf(site).weights).present()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the model has no matrix " + std::string(models::PlaceOf(site).tensor),
                       command.model);
    }
  }

  const adapters::FeatureReader features(decoder);
  const auto prepare = [&](eval::McqaPart part, std::size_t limit,
                           Options options) -> Result<PoolItems> {
    ONDINE_ASSIGN(const std::vector<eval::McqaItem> items, Load(command, part, limit));
    ONDINE_ASSIGN(PoolItems prepared,
                  TokenizeItems(items, tokenizer, features, options, command.max_length));
    ShareFeatures(command.group, command.training.seed, prepared);
    return prepared;
  };
  ONDINE_ASSIGN(PoolItems items,
                prepare(eval::McqaPart::kTraining, command.limit,
                        training.choice_share > 0 ? Options::kAll : Options::kRightOne));
  const std::size_t per_task = command.validation_items / command.tasks.size() + 1;
  ONDINE_ASSIGN(PoolItems validation, prepare(eval::McqaPart::kSettings, per_task, Options::kAll));
  ONDINE_ASSIGN(const adapters::TaskSpace space,
                FindTasks(items, training.shape.adapters, training.seed));
  ONDINE_TRY(SetWeights(space, command.mode, command.temperature, items));
  ONDINE_TRY(SetWeights(space, command.mode, command.temperature, validation));

  TrainingLog log;
  ProgressLine line;
  adapters::Pool pool;
  PoolTrainingObserver observer;
  observer.stop_token = command.interrupt;
  observer.on_start = [&](const Settings& settings) -> Status {
    ONDINE_TRY(base::CheckWritable(command.out));
    ONDINE_TRY(log.Open(command.log, training.resume));
    pool.provenance = settings.Text();
    log.Write({{"event", "start"},
               {"items", items.items.size()},
               {"tokens", items.Tokens()},
               {"too_long", items.too_long},
               {"validation_items", validation.items.size()},
               {"entropy", MeanEntropy(items)},
               {"settings", settings.entries()}});
    return {};
  };
  observer.on_step = [&](const StepReport& report) {
    char rate[32];
    std::snprintf(rate, sizeof(rate), "%.0f tokens/s, ", report.tokens_per_second);
    line.Show(report.step, report.steps, report.loss, report.seconds, rate);
    json record = ToJson(report);
    if (training.choice_share > 0) {
      record["answer_loss"] = report.answer_loss;
      record["choice_loss"] = report.choice_loss;
      record["accuracy"] = report.accuracy;
    }
    log.Write(record);
  };
  observer.on_validation = [&](const ValidationReport& report) { log.Write(ToJson(report)); };
  ONDINE_ASSIGN(pool.matrices, TrainPool(*decoder, items, validation, training, observer));
  if (pool.matrices.empty()) return {};  // another process writes them

  pool.name = command.name;
  pool.architecture = decoder->spec().architecture;
  pool.base_name = base_name.value_or("");
  pool.base_fingerprint = models::BaseFingerprint(*decoder);
  pool.training = command.mode == Mode::kJoint ? "joint" : "independent";
  pool.form = training.shape.blend;
  pool.alpha = training.shape.lora_alpha;
  pool.temperature = command.temperature_in_use.value_or(command.temperature);
  pool.tasks = space;
  ONDINE_TRY(adapters::WritePool(pool, command.out));
  return log.Close(command.log);
}

std::vector<std::string> TargetOptions() {
  std::vector<std::string> options;
  for (const models::LoraPlace& place : models::kLoraPlaces) options.emplace_back(place.option);
  return options;
}

void AddOptions(CLI::App& app, PoolCommand& command) {
  PoolTrainingOptions& training = command.training;
  PoolShape& shape = training.shape;
  app.add_option("-m,--model", command.model, "base model, a GGUF file")->required();
  app.add_option("--data", command.data, "folder that holds mcqa/")->capture_default_str();
  app.add_option("--tasks", command.tasks,
                 "sets to train on, separated by commas (default: all but mmlu)")
      ->delimiter(',');
  app.add_option("-o,--out", command.out, "pool file to write")->required();
  app.add_option("--name", command.name, "of the pool, in its file");
  app.add_option("--log", command.log, "file for one JSON record a step and validation");

  app.add_option("--adapters", shape.adapters)->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--rank", shape.rank, "of each adapter")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--lora-alpha", shape.lora_alpha, "products are scaled by this / rank")
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--targets", command.targets, "matrices: " + base::Join(TargetOptions(), ", "))
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember(TargetOptions()));
  app.add_option("--blend", shape.blend, "separate: (sum B)(sum A); product: sum B A")
      ->transform(base::OneOf<BlendForm>(
          {{"separate", BlendForm::kSeparate}, {"product", BlendForm::kProduct}}))
      ->default_str("separate");
  app.add_option("--mode", command.mode,
                 "joint: an item trains its blend; independent: the "
                 "nearest adapter alone")
      ->transform(base::OneOf<Mode>({{"joint", Mode::kJoint}, {"independent", Mode::kIndependent}}))
      ->default_str("joint");
  app.add_option("--group", command.group,
                 "items of one set that stand for a user's examples: their mean feature finds the "
                 "weights of each; 1: every item by itself")
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--temperature", command.temperature, "of the blend's weights")
      ->capture_default_str()
      ->check(base::Positive());

  app.add_option("--temperature-in-use", command.temperature_in_use,
                 "that the pool's file names for its users (default: --temperature)")
      ->check(base::Positive());
  app.add_option("--together", training.together,
                 "share of the steps in which the weights go from all adapters alike to each "
                 "item's own, so that the adapters part from what all have learnt")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));

  app.add_option("--objective", command.objective,
                 "answer: its likelihood; choice: among the options; mix: both")
      ->capture_default_str()
      ->check(CLI::IsMember({"answer", "choice", "mix"}));
  app.add_option("--mix", command.mix, "share of choice in mix")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  AddStepOptions(app, training, "items");
  app.add_option("--dropout", training.dropout, "of the adapters' inputs")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.9));
  app.add_option("--limit", command.limit, "training items of each set (default: all)");
  app.add_option("--max-length", command.max_length, "longer items are left out, in tokens")
      ->capture_default_str();

  app.add_option("--validation-items", command.validation_items, "of the settings parts")
      ->capture_default_str();
  AddRunOptions(app, training);
  app.add_flag("--bfloat16", training.bfloat16,
               "multiply with the base model's matrices in bfloat16: twice as fast where the "
               "processor has such instructions");
  app.add_option("--max-tokens", training.max_tokens, "that a process computes at once")
      ->capture_default_str()
      ->check(base::Positive());
}

}  // namespace

std::function<Status()> AddPool(CLI::App& app, StopToken interrupt) {
  auto command = std::make_shared<PoolCommand>();
  command->interrupt = std::move(interrupt);
  CLI::App* pool = app.add_subcommand("pool", "Train a pool of adapters on questions with choices");
  pool->footer(
      "Examples:\n  ondine-train pool -m model.gguf --tasks piqa,copa --objective choice -o "
      "pool.gguf\n"
      "  torchrun --no-python --nproc-per-node 2 ondine-train pool -m model.gguf -o pool.gguf");
  AddOptions(*pool, *command);
  return [command]() -> Status {
    if (command->tasks.empty()) command->tasks = DefaultTasks();
    if (command->training.checkpoint.empty()) {
      command->training.checkpoint = command->out + ".checkpoint";
    }
    ONDINE_TRY(base::CheckDistinct(
        {command->model, command->out, command->log, command->training.checkpoint}));
    return TrainAndWrite(*command);
  };
}

}  // namespace ondine::train
