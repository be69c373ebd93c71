// Options that several commands share.
#ifndef ONDINE_SRC_CLI_OPTIONS_H_
#define ONDINE_SRC_CLI_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ondine/adapter_pool.h"
#include "ondine/generation.h"
#include "ondine/model.h"
#include "ondine/pot.h"
#include "ondine/result.h"

namespace ondine::cli {

struct ModelChoice {
  std::string path;
  std::string chat_template;
  int threads = 0;

  void AddTo(CLI::App& command);
  // -m, else $ONDINE_MODEL, else the default model that scripts/bootstrap puts beside the program.
  Result<std::string> Path() const;
  Result<std::shared_ptr<const Model>> Load() const;
};

// Adapters, and the task that one of them was blended for, if any.
struct Customization {
  std::vector<ScaledAdapter> adapters;
  std::shared_ptr<const AdapterPool> pool;
  std::vector<float> task;  // AdapterPool::TaskOf
};

struct AdapterChoice {
  std::vector<std::string> wanted;  // FILE or FILE=SCALE
  std::string pool, examples;       // files

  // --adapter alone, or with --pool and --examples.
  void AddTo(CLI::App& command);
  void AddAll(CLI::App& command);
  // All that is read.
  std::vector<std::string> Files() const;
  Result<std::vector<ScaledAdapter>> Load(const std::shared_ptr<const Model>& model) const;
  Result<Customization> LoadWithTask(const std::shared_ptr<const Model>& model) const;

 private:
  std::string PoolPath() const;  // with examples: of the pool that is blended for them
};

// What a converter may read of a folder: all of it but GGUF files.
std::vector<std::string> CheckpointFiles(const std::string& folder);

// Where scripts/bootstrap puts the default model, and where the pool and the scales for it and the
// CLIP lie that come along with the program; may not exist.
std::string DefaultModelPath();
std::string DefaultPoolPath();
std::string DefaultScalesPath();
std::string DefaultClipPath();

struct PotChoice {
  std::int64_t slots = 0;  // 0: not given
  std::string policy = "infinipot";
  std::string cache_type = "f16";
  std::string positions = "reset";
  double keep = PotSettings().keep;
  std::optional<double> alpha;
  int surprise_span = PotSettings().surprise_span;
  int attention_span = PotSettings().attention_span;
  int surprise_stride = PotSettings().surprise_stride;
  double rarity = PotSettings().rarity;
  std::string consolidate;  // on, off, or by policy
  std::optional<std::int64_t> archive;
  int sinks = PotSettings().sinks;
  std::optional<int> recent;
  std::string catalyst = PotSettings().catalyst;

  // --pot, and everything else that shapes a pot; all of them. kTextPot: also what concerns texts
  // that are read to be asked about. kNone: there is a pot only if --pot asks for one, and the rest
  // needs it.
  enum class Default { kTextPot, kPot, kNone };
  std::vector<CLI::Option*> AddAll(CLI::App& command, Default when_absent);
  // Where no number of slots is given the usual one, at most as many as the model has positions.
  Result<PotSettings> Settings(const Model& model) const;
};

struct GenerationChoice {
  GenerationOptions options;

  void AddTo(CLI::App& command, int default_tokens);
};

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_OPTIONS_H_
