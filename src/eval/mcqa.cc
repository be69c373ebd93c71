#include "eval/mcqa.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/quote.h"
#include "base/try.h"
#include "engine/adapter_parts.h"
#include "eval/random_pool.h"

namespace ondine::eval {
namespace {

using engine::ChoiceScore;

constexpr std::array kForms = {std::pair{"plain", McqaForm::kPlain},
                               std::pair{"listed", McqaForm::kListed},
                               std::pair{"letters", McqaForm::kLetters}};
constexpr std::array kNorms = {std::pair{"tokens", McqaNorm::kTokens},
                               std::pair{"bytes", McqaNorm::kBytes},
                               std::pair{"none", McqaNorm::kNone}};
constexpr std::array kPoolUses = {
    std::pair{"blend", PoolUse::kBlend}, std::pair{"nearest", PoolUse::kNearest},
    std::pair{"uniform", PoolUse::kUniform}, std::pair{"shuffled", PoolUse::kShuffled},
    std::pair{"random", PoolUse::kRandom}};
static_assert(kNorms.size() == kMcqaNorms);

template <typename Names>
auto Parse(const Names& names, std::string_view name, const std::string& what)
    -> Result<decltype(names.front().second)> {
  std::string known;
  for (const auto& [text, value] : names) {
    if (text == name) return value;
    known.append(" ").append(text);
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   base::Quote(name) + " is no " + what + "; there are" + known);
}

std::vector<std::string> NamesOf(const auto& table) {
  std::vector<std::string> names(table.size());
  std::transform(table.begin(), table.end(), names.begin(),
                 [](const auto& entry) { return entry.first; });
  return names;
}

// Items of one task, and the text put before each.
struct TaskItems {
  std::vector<McqaItem> items;
  std::string few_shot;
};

// The set that a task belongs to: "mmlu" of "mmlu/anatomy".
std::string SetOf(const std::string& task) {
  return task.substr(0, task.find('/'));
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

std::vector<double> UsedAs(PoolUse use, std::vector<double> weights, std::uint64_t seed) {
  switch (use) {
    case PoolUse::kBlend:
    case PoolUse::kRandom: break;
    case PoolUse::kNearest: {
      const auto nearest = std::max_element(weights.begin(), weights.end()) - weights.begin();
      std::fill(weights.begin(), weights.end(), 0);
      weights[static_cast<std::size_t>(nearest)] = 1;
      break;
    }
    case PoolUse::kUniform:
      std::fill(weights.begin(), weights.end(), 1 / static_cast<double>(weights.size()));
      break;
    case PoolUse::kShuffled: {
      // By one place at least, so that none keeps its own.
      const std::size_t places = weights.size() < 2 ? 0 : 1 + seed % (weights.size() - 1);
      std::rotate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(places),
                  weights.end());
      break;
    }
  }
  return weights;
}

class Runner {
 public:
  Runner(std::shared_ptr<const Model> model, const McqaOptions& options)
      : options_(options), scorer_(std::move(model), options.threads) {
    if (options.pool && options.pool_use == PoolUse::kRandom) {
      random_ = WithRandomFactors(options.pool->parts().pool, options.seed);
    }
  }

  Result<McqaReport> Run() {
    ONDINE_TRY(Load());
    for (auto& [name, task] : tasks_) ONDINE_TRY(RunTask(name, task));
    report_.total = Summarize(right_);
    std::map<std::string, std::vector<double>> sets;
    for (const auto& [name, task] : report_.tasks) sets[SetOf(name)].push_back(task.cell.score);
    std::vector<double> means;
    means.reserve(sets.size());
    for (const auto& [name, scores] : sets) means.push_back(Mean(scores));
    report_.macro = Mean(means);
    return std::move(report_);
  }

 private:
  Status Load() {
    for (const std::string& name : options_.tasks.empty() ? McqaTaskNames() : options_.tasks) {
      ONDINE_ASSIGN(std::vector<McqaItem> items, LoadMcqa(options_.data, name, options_.part));
      std::map<std::string, std::vector<McqaItem>> by_task;  // "mmlu" has many
      for (McqaItem& item : items) by_task[item.task].push_back(std::move(item));
      for (auto& [task, list] : by_task) {
        if (options_.limit >= 0) {
          list = DrawItems(std::move(list), static_cast<std::size_t>(options_.limit), kOrderSeed);
        }
        ONDINE_ASSIGN(const std::string few_shot, FewShot(task));
        tasks_[task] = {std::move(list), few_shot};
      }
    }
    for (const auto& [name, task] : tasks_) total_ += static_cast<std::int64_t>(task.items.size());
    if (total_ > 0) return {};
    return MakeError(ErrorCode::kInvalidArgument, "the tasks have no items in this part");
  }

  Result<std::string> FewShot(const std::string& task) const {
    if (options_.few_shot <= 0) return std::string();
    ONDINE_ASSIGN(std::vector<McqaItem> items,
                  DrawExamples(options_.data, task, static_cast<std::size_t>(options_.few_shot),
                               options_.seed));
    if (std::cmp_less(items.size(), options_.few_shot)) {
      return MakeError(
          ErrorCode::kInvalidArgument,
          task + " has no more than " + std::to_string(items.size()) + " training items");
    }
    for (McqaItem& item : items) item = InForm(std::move(item), options_.form);
    return FewShotPrompt(items);
  }

  Result<std::shared_ptr<const Adapter>> Blend(const std::vector<double>& weights) const {
    if (!random_) return options_.pool->Blend(weights, options_.blend);
    ONDINE_ASSIGN(auto lora,
                  adapters::Blend(*random_, weights, options_.blend.value_or(random_->form)));
    return engine::MakeAdapter(std::move(lora), "");
  }

  // Blends an adapter for the task; `direction` is where it lies.
  Status Customize(const std::string& task, std::vector<double>& weights,
                   std::vector<float>& direction) {
    std::vector<ScaledAdapter> adapters = options_.adapters;
    if (options_.pool) {
      ONDINE_ASSIGN(const auto items,
                    DrawExamples(options_.data, task, static_cast<std::size_t>(options_.shots),
                                 options_.seed));
      std::vector<Example> examples;
      for (const McqaItem& item : items) examples.push_back({item.prompt, ""});
      ONDINE_ASSIGN(direction, options_.pool->TaskOf(examples));
      ONDINE_ASSIGN(PoolWeights found, options_.pool->Weigh(examples, options_.temperature));
      weights = UsedAs(options_.pool_use, std::move(found.weights), options_.seed);
      ONDINE_ASSIGN(auto adapter, Blend(weights));
      adapters.push_back({std::move(adapter), 1});
    }
    return scorer_.SetAdapters(adapters);
  }

  Status RunTask(const std::string& name, TaskItems& task) {
    std::vector<double> weights;
    std::vector<float> direction;
    ONDINE_TRY(Customize(name, weights, direction));
    std::array<std::vector<double>, kMcqaNorms> right;
    std::map<std::size_t, std::int64_t> gold;
    for (McqaItem& plain : task.items) {
      McqaAnswer answer;
      if (options_.pool) {
        ONDINE_ASSIGN(answer.task, options_.pool->Likeness(direction, plain.prompt));
      }
      answer.item = InForm(std::move(plain), options_.form);
      ONDINE_ASSIGN(answer.scores, Score(answer.item, task.few_shot));
      for (const auto& [text, norm] : kNorms) {
        const std::size_t chosen = ChosenBy(norm, answer.item, answer.scores);
        right[static_cast<std::size_t>(norm)].push_back(chosen == answer.item.gold ? 1 : 0);
        if (norm == options_.norm) answer.chosen = chosen;
      }
      ++gold[answer.item.gold];
      right_.push_back(answer.chosen == answer.item.gold ? 1 : 0);
      report_.answers.push_back(std::move(answer));
      if (options_.on_progress) {
        options_.on_progress(static_cast<std::int64_t>(right_.size()), total_, Mean(right_));
      }
    }
    McqaTaskReport& report = report_.tasks[name];
    report.weights = std::move(weights);
    report.cell = Summarize(right[static_cast<std::size_t>(options_.norm)]);
    for (std::size_t i = 0; i < kMcqaNorms; ++i) report.accuracy[i] = Mean(right[i]);
    for (const auto& [position, count] : gold) {
      report.base_rate = std::max(report.base_rate,
                                  static_cast<double>(count) / static_cast<double>(report.cell.n));
    }
    return {};
  }

  Result<std::vector<ChoiceScore>> Score(const McqaItem& item, const std::string& few_shot) {
    std::vector<ChoiceScore> scores;
    for (const McqaChoice& choice : item.choices) {
      // Runs a context only where it differs from the last choice's.
      ONDINE_ASSIGN(
          const std::vector<ChoiceScore> score,
          scorer_.Score(few_shot + choice.context, {&choice.continuation, 1}, options_.stop_token));
      scores.push_back(score.front());
    }
    return scores;
  }

  static constexpr std::uint64_t kOrderSeed = 0;  // of which items a limit leaves

  const McqaOptions& options_;
  engine::ChoiceScorer scorer_;
  std::optional<adapters::Pool> random_;  // instead of the pool's adapters
  std::map<std::string, TaskItems> tasks_;
  std::int64_t total_ = 0;
  std::vector<double> right_;
  McqaReport report_;
};

}  // namespace

Result<McqaForm> ParseMcqaForm(std::string_view name) {
  return Parse(kForms, name, "form of a question");
}

Result<McqaNorm> ParseMcqaNorm(std::string_view name) {
  return Parse(kNorms, name, "norm of a choice's likelihood");
}

Result<PoolUse> ParsePoolUse(std::string_view name) {
  return Parse(kPoolUses, name, "way of weighing a pool");
}

std::vector<std::string> McqaFormNames() {
  return NamesOf(kForms);
}
std::vector<std::string> McqaNormNames() {
  return NamesOf(kNorms);
}
std::vector<std::string> PoolUseNames() {
  return NamesOf(kPoolUses);
}

Result<McqaReport> RunMcqa(std::shared_ptr<const Model> model, const McqaOptions& options) {
  return Runner(std::move(model), options).Run();
}

McqaItem InForm(McqaItem item, McqaForm form) {
  if (form == McqaForm::kPlain) return item;
  std::string context = item.question;
  for (std::size_t i = 0; i < item.choices.size(); ++i) {
    McqaChoice& choice = item.choices[i];
    const std::string letter(1, static_cast<char>('A' + i));
    const bool letters = form == McqaForm::kLetters;
    context.append("\n").append(letters ? letter + ". " : "").append(choice.option);
    choice.continuation = " " + (letters ? letter : choice.option);
  }
  context += "\nAnswer:";
  for (McqaChoice& choice : item.choices) choice.context = context;
  return item;
}

std::size_t ChosenBy(McqaNorm norm, const McqaItem& item, const std::vector<ChoiceScore>& scores) {
  std::size_t chosen = 0;
  double best = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    double value = scores[i].log_likelihood;
    if (norm == McqaNorm::kTokens) value /= static_cast<double>(scores[i].tokens);
    // Without the blank that every continuation begins with.
    if (norm == McqaNorm::kBytes) {
      value /= static_cast<double>(item.choices[i].continuation.size() - 1);
    }
    if (value > best) {
      best = value;
      chosen = i;
    }
  }
  return chosen;
}

std::string FewShotPrompt(const std::vector<McqaItem>& examples) {
  std::string prompt;
  for (const McqaItem& example : examples) {
    const McqaChoice& gold = example.choices[example.gold];
    prompt.append(gold.context).append(gold.continuation).append("\n\n");
  }
  return prompt;
}

}  // namespace ondine::eval
