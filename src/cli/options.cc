#include "cli/options.h"

#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/join.h"
#include "base/option_checks.h"
#include "base/try.h"

namespace ondine::cli {

namespace fs = std::filesystem;

namespace {

// The folder above the program's: build/ or, installed, the prefix.
fs::path ProgramRoot() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path("build") : program.parent_path().parent_path();
}

std::string AssetPath(const char* name) {
  const fs::path installed = ProgramRoot() / "share" / "ondine" / name;
  const fs::path in_repository = ProgramRoot().parent_path() / "assets" / name;
  return (fs::exists(installed) ? installed : in_repository).string();
}

}  // namespace

std::vector<std::string> CheckpointFiles(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;  // of a folder that is not there others say so
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    if (at->path().extension() != ".gguf") files.push_back(at->path().string());
  }
  return files;
}

std::string DefaultModelPath() {
  return (ProgramRoot() / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf").string();
}

std::string DefaultPoolPath() {
  return AssetPath("SmolLM2-135M-Instruct.pool.gguf");
}

std::string DefaultScalesPath() {
  return AssetPath("SmolLM2-135M-Instruct.scales.gguf");
}

std::string DefaultClipPath() {
  return AssetPath("fashion.clip.gguf");
}

void ModelChoice::AddTo(CLI::App& command) {
  command.add_option("-m,--model", path,
                     "GGUF file (default: $ONDINE_MODEL, else the default model)");
  command.add_option("--chat-template", chat_template,
                     "chat template family, where the model's own is unknown or wrong");
  command.add_option("-t,--threads", threads, "threads (default: one per core)")
      ->check(CLI::Range(1, 256));
}

Result<std::string> ModelChoice::Path() const {
  if (!path.empty()) return path;
  if (const char* variable = std::getenv("ONDINE_MODEL"); variable != nullptr && *variable != 0) {
    return std::string(variable);
  }
  const std::string fallback = DefaultModelPath();
  if (fs::exists(fallback)) return fallback;
  return MakeError(ErrorCode::kNotFound,
                   "no model: name a GGUF file with -m, or get the default one with "
                   "scripts/bootstrap");
}

Result<std::shared_ptr<const Model>> ModelChoice::Load() const {
  ONDINE_ASSIGN(const std::string chosen, Path());
  ModelOptions options;
  options.threads = threads;
  options.chat_template = chat_template;
  return Model::Load(chosen, options);
}

namespace {

// "style.gguf=0.5" is a file and a scale; without a number behind the last "=" all of it is a name.
std::pair<std::string, float> SplitScale(const std::string& wanted) {
  const std::size_t sign = wanted.rfind('=');
  if (sign == std::string::npos) return {wanted, 1.0f};
  float scale = 1;
  const char* end = wanted.data() + wanted.size();
  const auto number = std::from_chars(wanted.data() + sign + 1, end, scale);
  if (number.ec != std::errc() || number.ptr != end) return {wanted, 1.0f};
  return {wanted.substr(0, sign), scale};
}

}  // namespace

void AdapterChoice::AddTo(CLI::App& command) {
  command.add_option("--adapter", wanted,
                     "LoRA adapter as a GGUF file, or FILE=SCALE (may be given several times)");
}

void AdapterChoice::AddAll(CLI::App& command) {
  AddTo(command);
  CLI::Option* from = command.add_option(
      "--pool", pool,
      "pool of adapters that is blended for the task of --examples (default: the one that comes "
      "along with the program)");
  CLI::Option* task =
      command.add_option("--examples", examples, "file of JSON lines, as for ondine customize");
  from->needs(task);
}

std::string AdapterChoice::PoolPath() const {
  return pool.empty() && !examples.empty() ? DefaultPoolPath() : pool;
}

std::vector<std::string> AdapterChoice::Files() const {
  std::vector<std::string> files = {PoolPath(), examples};
  for (const std::string& one : wanted) files.push_back(SplitScale(one).first);
  return files;
}

Result<Customization> AdapterChoice::LoadWithTask(const std::shared_ptr<const Model>& model) const {
  Customization result;
  for (const std::string& one : wanted) {
    const auto [path, scale] = SplitScale(one);
    ONDINE_ASSIGN(auto adapter, Adapter::Load(*model, path));
    result.adapters.push_back({std::move(adapter), scale});
  }
  if (!examples.empty()) {
    ONDINE_ASSIGN(result.pool, AdapterPool::Load(model, PoolPath()));
    ONDINE_ASSIGN(const auto task, LoadExamples(examples));
    ONDINE_ASSIGN(const PoolWeights found, result.pool->Weigh(task));
    ONDINE_ASSIGN(auto adapter, result.pool->Blend(found.weights));
    result.adapters.push_back({std::move(adapter), 1});
    ONDINE_ASSIGN(result.task, result.pool->TaskOf(task));
  }
  return result;
}

Result<std::vector<ScaledAdapter>> AdapterChoice::Load(
    const std::shared_ptr<const Model>& model) const {
  ONDINE_ASSIGN(Customization result, LoadWithTask(model));
  return std::move(result.adapters);
}

std::vector<CLI::Option*> PotChoice::AddAll(CLI::App& command, Default when_absent) {
  CLI::Option* size =
      command
          .add_option("--pot", slots, "entries of the KV cache per layer and head, never exceeded")
          ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  CLI::Option* type =
      command
          .add_option("--cache-type", cache_type, "how keys and values are stored: f16, q8_0, q4_0")
          ->capture_default_str();
  std::vector<CLI::Option*> of_pots = {
      command
          .add_option("--policy", policy,
                      "what a distillation keeps: " + base::Join(PotPolicyNames(), ", "))
          ->capture_default_str(),
      command.add_option("--keep", keep, "share of the pot that survives a distillation")
          ->capture_default_str(),
      command.add_option("--alpha", alpha,
                         when_absent == Default::kTextPot
                             ? "share of the survivors chosen by surprise (default: 1; 0.5 with "
                               "--recall question)"
                             : "share of the survivors chosen by surprise (default: 1)"),
      command
          .add_option(
              "--surprise-span", surprise_span,
              "neighbours over which surprise is averaged (0: sentences, 1: the paper's form)")
          ->capture_default_str(),
      command
          .add_option("--attention-span", attention_span,
                      "neighbours over which attention is averaged (1: the paper's form)")
          ->capture_default_str(),
      command
          .add_option(
              "--surprise-stride", surprise_stride,
              "estimate surprise from one in so many slices of the rarer vocabulary (1: exact)")
          ->capture_default_str(),
      command
          .add_option(
              "--rarity", rarity,
              "share of a token's rarity that is taken off its surprise (0: the paper's form)")
          ->capture_default_str(),
      command.add_option("--sinks", sinks, "first tokens that are always kept")
          ->capture_default_str(),
      command
          .add_option("--recent", recent,
                      "newest tokens that are always kept (default: pot/10, at most a quarter "
                      "of what survives)")
          ->check(base::NotNegative()),
      command.add_option("--positions", positions, "of surviving entries: reset or original")
          ->capture_default_str()
          ->check(CLI::IsMember({"reset", "original"})),
      command.add_option("--catalyst", catalyst, "text that stands for the questions to come")
          ->capture_default_str()};
  of_pots.push_back(type);
  if (when_absent == Default::kTextPot) {
    of_pots.push_back(
        command
            .add_option("--consolidate", consolidate,
                        "read what survived once more as one text (default: with infinipot)")
            ->check(CLI::IsMember({"on", "off"})));
    of_pots.push_back(command.add_option("--archive", archive,
                                         "tokens of the text that stay known as text (default: 32 "
                                         "for each entry with infinipot)"));
  }
  if (when_absent == Default::kNone) {
    for (CLI::Option* option : of_pots) option->needs(size);
  }
  of_pots.push_back(size);
  return of_pots;
}

Result<PotSettings> PotChoice::Settings(const Model& model) const {
  PotSettings settings;
  settings.slots = slots > 0 ? slots : std::min(settings.slots, model.info().trained_context);
  ONDINE_ASSIGN(settings.policy, ParsePotPolicy(policy));
  ONDINE_ASSIGN(settings.type, ParseCacheType(cache_type));
  settings.keep = keep;
  settings.alpha = alpha;
  settings.surprise_span = surprise_span;
  settings.attention_span = attention_span;
  settings.surprise_stride = surprise_stride;
  settings.rarity = rarity;
  if (!consolidate.empty()) settings.consolidate = consolidate == "on";
  settings.archive = archive;
  settings.sinks = sinks;
  settings.recent = recent;
  settings.reset_positions = positions == "reset";
  settings.catalyst = catalyst;
  return settings;
}

void GenerationChoice::AddTo(CLI::App& command, int default_tokens) {
  options.max_tokens = default_tokens;
  SamplingSettings& sampling = options.sampling;
  command.add_option("-n,--max-tokens", options.max_tokens, "most tokens to generate")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  command.add_option("--temp", sampling.temperature, "temperature (0: always the likeliest token)")
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "sample from this many tokens (0: off)")
      ->capture_default_str();
  command.add_option("--top-p", sampling.top_p, "sample from this share of probability (1: off)")
      ->capture_default_str();
  command
      .add_option("--min-p", sampling.min_p,
                  "drop tokens below this share of the likeliest one's probability (0: off)")
      ->capture_default_str();
  command.add_option("--repeat-penalty", sampling.repetition_penalty, "of recent tokens (1: off)")
      ->capture_default_str();
  command.add_option("--repeat-last-n", sampling.repetition_window, "tokens that count as recent")
      ->capture_default_str();
  command.add_option("--seed", sampling.seed, "of the sampling")
      ->capture_default_str()
      ->check(base::Seed());
  command.add_option("--stop", options.stop, "end before this text (may be given several times)");
}

}  // namespace ondine::cli
