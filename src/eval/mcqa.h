// Accuracy on questions with choices: the likeliest choice is the model's answer.
#ifndef ONDINE_SRC_EVAL_MCQA_H_
#define ONDINE_SRC_EVAL_MCQA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/choice_scores.h"
#include "eval/mcqa_data.h"
#include "eval/runner.h"
#include "ondine/adapter_pool.h"
#include "ondine/model.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::eval {

// What stands before a choice, and what of it is scored.
enum class McqaForm {
  kPlain,    // the question alone; the choice's text
  kListed,   // the question and its options, one a line; the choice's text
  kLetters,  // the question and its options as "A. ..."; the choice's letter
};
Result<McqaForm> ParseMcqaForm(std::string_view name);  // "plain", "listed", "letters"
std::vector<std::string> McqaFormNames();

// What a choice's log-likelihood is divided by.
enum class McqaNorm { kTokens, kBytes, kNone };
constexpr std::size_t kMcqaNorms = 3;
Result<McqaNorm> ParseMcqaNorm(std::string_view name);  // "tokens", "bytes", "none"
std::vector<std::string> McqaNormNames();

// Which weights a pool's adapters get: those of the examples, or controls.
enum class PoolUse {
  kBlend,     // softmax of the similarities
  kNearest,   // 1 for the most similar one
  kUniform,   // all alike
  kShuffled,  // the right weights for the wrong adapters
  kRandom,    // the right weights, but adapters with random factors: WithRandomFactors()
};
Result<PoolUse> ParsePoolUse(std::string_view name);
std::vector<std::string> PoolUseNames();

struct McqaOptions {
  std::string data = "../shared/data";
  std::vector<std::string> tasks;  // as LoadMcqa takes them; empty: all
  McqaPart part = McqaPart::kFinal;
  std::int64_t limit = -1;  // items of a task, drawn in an order that is always the same; < 0: all
  std::int64_t few_shot = 0;  // solved training items of the task before each question
  std::uint64_t seed = 1;     // of their choice, and of the pool's examples
  std::vector<ScaledAdapter> adapters;
  // Blended anew for each task from `shots` training items, or as many as there are.
  std::shared_ptr<const AdapterPool> pool;
  std::int64_t shots = 10;
  PoolUse pool_use = PoolUse::kBlend;
  std::optional<double> temperature;  // instead of the pool's
  std::optional<BlendForm> blend;     // instead of the pool's
  McqaForm form = McqaForm::kPlain;
  McqaNorm norm = McqaNorm::kTokens;
  int threads = 0;
  std::function<void(std::int64_t done, std::int64_t total, double score)> on_progress;
  StopToken stop_token;
};

struct McqaAnswer {
  McqaItem item;  // in the form that was scored
  std::size_t chosen = 0;
  std::vector<engine::ChoiceScore> scores;  // of its choices
  std::optional<double> task;  // how much the pool finds it to be of its task, where there is one
};

struct McqaTaskReport {
  Cell cell;
  std::array<double, kMcqaNorms> accuracy = {};  // by McqaNorm
  double base_rate = 0;                          // share of the most frequent gold position
  std::vector<double> weights;                   // of the pool's adapters
};

struct McqaReport {
  Cell total;        // over all items
  double macro = 0;  // mean over the sets; that of MMLU is the mean over its subjects
  std::map<std::string, McqaTaskReport> tasks;
  std::vector<McqaAnswer> answers;
};

// Errors: those of LoadMcqa, ChoiceScorer and AdapterPool; kInvalidArgument where no item is there
// to score, or fewer training items than `few_shot`.
Result<McqaReport> RunMcqa(std::shared_ptr<const Model> model, const McqaOptions& options);

McqaItem InForm(McqaItem item, McqaForm form);

// Index of the choice with the highest score; the first of equals.
std::size_t ChosenBy(McqaNorm norm, const McqaItem& item,
                     const std::vector<engine::ChoiceScore>& scores);

// The examples as solved questions, each with a blank line behind it.
std::string FewShotPrompt(const std::vector<McqaItem>& examples);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_MCQA_H_
