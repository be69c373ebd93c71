// Questions with choices: the data sets in <data>/mcqa, read and cut into their fixed parts.
#ifndef ONDINE_SRC_EVAL_MCQA_DATA_H_
#define ONDINE_SRC_EVAL_MCQA_DATA_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine::eval {

// Every item belongs to one part: training and a user's examples, choice of settings, final
// figures.
enum class McqaPart { kTraining, kSettings, kFinal };
Result<McqaPart> ParseMcqaPart(std::string_view name);  // "training", "settings", "final"

// One way of going on. Choices differ in what is scored, or (WinoGrande) in what stands before it.
struct McqaChoice {
  std::string context;       // ends without a blank
  std::string continuation;  // begins with one; its log-likelihood behind `context` counts
  std::string option;        // as it is listed in the item's prompt
};

struct McqaItem {
  std::string task;    // "piqa", "mmlu/anatomy"
  std::string prompt;  // question and options as a user would give them, without the answer
  std::vector<McqaChoice> choices;
  std::size_t gold = 0;  // index of the right choice
  std::string question;  // the prompt without its options
};

// "arc_challenge", "piqa", ..., "mmlu/abstract_algebra", ...; "mmlu" stands for all its subjects.
std::vector<std::string> McqaTaskNames();

// The items of a part, in the order of the files; some sets have none in some part. `data` is the
// folder that holds mcqa/. Left out: training and settings items whose question stands in a final
// file of the set, a sister or MMLU, and items that are there with different answers. Errors:
// kInvalidArgument (no such task), kNotFound, kCorrupt (names file and line).
Result<std::vector<McqaItem>> LoadMcqa(const std::string& data, std::string_view task,
                                       McqaPart part);

// `count` of the items, or all where there are fewer; which ones and in which order depends on the
// seed and the items' prompts alone.
std::vector<McqaItem> DrawItems(std::vector<McqaItem> items, std::size_t count, std::uint64_t seed);

// What a user of a task has: training items of it, drawn like that. Errors: those of LoadMcqa.
Result<std::vector<McqaItem>> DrawExamples(const std::string& data, const std::string& task,
                                           std::size_t count, std::uint64_t seed);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_MCQA_DATA_H_
