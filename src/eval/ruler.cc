#include "eval/ruler.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/join.h"
#include "base/quote.h"
#include "base/try.h"
#include "eval/haystack.h"
#include "eval/ruler_generators.h"
#include "eval/ruler_random.h"

namespace ondine::eval {
namespace {

using Kind = NiahSettings::Kind;

enum class Filler { kNone, kNoise, kEssays };
using Maker = std::unique_ptr<RulerGenerator> (*)(std::shared_ptr<const Haystack> haystack);

struct TaskKind {
  const char* name;
  Filler filler;
  Maker make;
};

template <Kind keys, Kind values, int key_count, int values_per_key, int asked>
std::unique_ptr<RulerGenerator> Needles(std::shared_ptr<const Haystack> haystack) {
  return MakeNiah({keys, values, key_count, values_per_key, asked}, std::move(haystack));
}

constexpr Kind kWords = Kind::kWords, kNumbers = Kind::kNumbers, kUuids = Kind::kUuids;
constexpr std::array kTasks = {
    TaskKind{"niah_single_1", Filler::kNoise, Needles<kWords, kNumbers, 1, 1, 1>},
    TaskKind{"niah_single_2", Filler::kEssays, Needles<kWords, kNumbers, 1, 1, 1>},
    TaskKind{"niah_single_3", Filler::kEssays, Needles<kWords, kUuids, 1, 1, 1>},
    TaskKind{"niah_multikey_1", Filler::kEssays, Needles<kWords, kNumbers, 4, 1, 1>},
    TaskKind{"niah_multikey_2", Filler::kNone, Needles<kWords, kNumbers, 1, 1, 1>},
    TaskKind{"niah_multikey_3", Filler::kNone, Needles<kUuids, kUuids, 1, 1, 1>},
    TaskKind{"niah_multivalue", Filler::kEssays, Needles<kWords, kNumbers, 1, 4, 1>},
    TaskKind{"niah_multiquery", Filler::kEssays, Needles<kWords, kNumbers, 4, 1, 4>},
    TaskKind{"vt", Filler::kNoise, [](auto noise) { return MakeVariableTracking(noise); }},
    TaskKind{"cwe", Filler::kNone, [](auto) { return MakeCommonWords(); }},
    TaskKind{"fwe", Filler::kNone, [](auto) { return MakeFrequentWords(); }},
};

// Goes round and round, hence the blank in front.
constexpr const char* kNoise =
    " The river runs. The road is long. The lamp is lit. We walk on. Then we come home.";

class RulerTask : public Task {
 public:
  struct Part {
    std::string name;
    std::unique_ptr<RulerGenerator> generator;
  };

  RulerTask(std::shared_ptr<const Model> model, RulerOptions options, std::vector<Part> parts)
      : model_(std::move(model)), options_(std::move(options)), parts_(std::move(parts)) {}

  std::string name() const override { return "ruler"; }
  std::int64_t size() const override {
    return options_.documents * static_cast<std::int64_t>(parts_.size() * options_.lengths.size());
  }

  Result<Item> Make(std::int64_t index) const override {
    const auto cell = static_cast<std::size_t>(index / options_.documents);
    const Part& part = parts_[cell / options_.lengths.size()];
    const std::int64_t length = options_.lengths[cell % options_.lengths.size()];
    const RulerGenerator& generator = *part.generator;
    const std::uint64_t seed = SeedOf(part, length, index % options_.documents);
    ONDINE_ASSIGN(const std::int64_t size, LargestFit(part, length, seed));
    RulerSample sample = generator.Build(size, seed);
    Query query;
    query.question = std::move(sample.question);
    query.prefix = std::move(sample.prefix);
    query.gold = std::move(sample.gold);
    query.max_tokens = generator.max_tokens();
    query.labels["task"] = part.name;
    query.labels["length"] = std::to_string(length);
    query.labels["length/task"] = std::to_string(length) + "/" + part.name;
    return Item{std::move(sample.document), {std::move(query)}};
  }

  // That the shortest documents are short enough; to know before hours of work.
  Status Check() const {
    for (const Part& part : parts_) {
      for (const std::int64_t length : options_.lengths) {
        ONDINE_TRY(CheckFits(part, length, SeedOf(part, length, 0)));
      }
    }
    return {};
  }

 private:
  std::uint64_t SeedOf(const Part& part, std::int64_t length, std::int64_t number) const {
    const std::string key = std::to_string(options_.seed) + "/" + part.name + "/" +
                            std::to_string(length) + "/" + std::to_string(number);
    std::seed_seq sequence(key.begin(), key.end());
    return base::Random(sequence)();
  }

  std::int64_t Tokens(const RulerGenerator& generator, std::int64_t size,
                      std::uint64_t seed) const {
    const RulerSample sample = generator.Build(size, seed);
    const auto count = [&](const std::string& text) {
      return static_cast<std::int64_t>(model_->Tokenize(text, false).size());
    };
    return count(sample.document) + count(sample.question) + count(sample.prefix) +
           generator.max_tokens() + kRulerTemplateTokens;
  }

  Status CheckFits(const Part& part, std::int64_t length, std::uint64_t seed) const {
    const std::int64_t least = Tokens(*part.generator, part.generator->smallest(), seed);
    if (least <= length) return {};
    return MakeError(ErrorCode::kInvalidArgument,
                     "a length of " + std::to_string(length) + " tokens is too short for " +
                         part.name + ": it takes " + std::to_string(least) + " with this model");
  }

  Result<std::int64_t> LargestFit(const Part& part, std::int64_t length, std::uint64_t seed) const {
    ONDINE_TRY(CheckFits(part, length, seed));
    // A unit is a token or more, so `length` units never fit.
    std::int64_t fits = part.generator->smallest(), too_many = length;
    while (fits + 1 < too_many) {
      const std::int64_t middle = fits + (too_many - fits) / 2;
      (Tokens(*part.generator, middle, seed) <= length ? fits : too_many) = middle;
    }
    return fits;
  }

  std::shared_ptr<const Model> model_;
  RulerOptions options_;
  std::vector<Part> parts_;
};

}  // namespace

std::vector<std::string> RulerTaskNames() {
  std::vector<std::string> names;
  names.reserve(kTasks.size());
  for (const TaskKind& kind : kTasks) names.emplace_back(kind.name);
  return names;
}

Result<std::unique_ptr<Task>> MakeRulerTask(std::shared_ptr<const Model> model,
                                            const RulerOptions& options) {
  if (options.lengths.empty() || options.documents < 1) {
    return MakeError(ErrorCode::kInvalidArgument, "no lengths or documents to evaluate");
  }
  std::shared_ptr<const Haystack> essays;
  const auto noise = std::make_shared<const Haystack>(*model, kNoise);
  std::vector<RulerTask::Part> parts;
  for (const std::string& name : options.tasks.empty() ? RulerTaskNames() : options.tasks) {
    const auto kind = std::find_if(kTasks.begin(), kTasks.end(),
                                   [&](const TaskKind& task) { return task.name == name; });
    if (kind == kTasks.end()) {
      return MakeError(ErrorCode::kInvalidArgument, base::Quote(name) +
                                                        " is no task of RULER; there are " +
                                                        base::Join(RulerTaskNames(), ", "));
    }
    if (kind->filler == Filler::kEssays && !essays) {
      ONDINE_ASSIGN(std::string text, LoadEssays(options.data));
      essays = std::make_shared<const Haystack>(*model, std::move(text));
    }
    const auto haystack = kind->filler == Filler::kEssays  ? essays
                          : kind->filler == Filler::kNoise ? noise
                                                           : nullptr;
    parts.push_back({name, kind->make(haystack)});
  }
  auto task = std::make_unique<RulerTask>(std::move(model), options, std::move(parts));
  ONDINE_TRY(task->Check());
  return task;
}

}  // namespace ondine::eval
