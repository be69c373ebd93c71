// Questions with choices: the data sets in <data>/mcqa, read and cut into their fixed parts.
#ifndef ONDINE_SRC_EVAL_MCQA_DATA_H_
#define ONDINE_SRC_EVAL_MCQA_DATA_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"

namespace ondine::eval {

// Every item belongs to one part: training and a user's examples, choice of settings, final
// figures.
enum class McqaPart { kTraining, kSettings, kFinal };

// One way of going on. Choices differ in what is scored, or (WinoGrande) in what stands before it.
struct McqaChoice {
  std::string context;       // ends without a blank
  std::string continuation;  // begins with one; its log-likelihood behind `context` counts
};

struct McqaItem {
  std::string task;    // "piqa", "mmlu/anatomy"
  std::string prompt;  // question and options as a user would give them, without the answer
  std::vector<McqaChoice> choices;
  std::size_t gold = 0;  // index of the right choice
};

// "arc_challenge", "piqa", ..., "mmlu/abstract_algebra", ...; "mmlu" stands for all its subjects.
std::vector<std::string> McqaTaskNames();

// The items of a part, in the order of the files. `data` is the folder that holds mcqa/. Errors:
// kInvalidArgument (no such task), kNotFound, kCorrupt (names file and line).
Result<std::vector<McqaItem>> LoadMcqa(const std::string& data, std::string_view task,
                                       McqaPart part);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_MCQA_DATA_H_
