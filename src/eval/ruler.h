// RULER's synthetic tasks (Hsieh et al., "RULER: What's the Real Context Size of Your Long-Context
// Language Models?", COLM 2024; arXiv 2404.06654), with the settings of its 13 standard ones except
// the two that take their questions from other data sets.
#ifndef ONDINE_SRC_EVAL_RULER_H_
#define ONDINE_SRC_EVAL_RULER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "eval/task.h"
#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine::eval {

struct RulerOptions {
  std::string data = "../shared/data";  // holds longctx/PaulGrahamEssays
  // Tokens of a document with its question, its answer and kRulerTemplateTokens.
  std::vector<std::int64_t> lengths = {4096};
  std::vector<std::string> tasks;  // empty: all
  std::int64_t documents = 50;     // per task and length
  std::uint64_t seed = 1;
};

// Room for what a chat template puts around the text.
inline constexpr std::int64_t kRulerTemplateTokens = 64;

// "niah_single_1", ..., "fwe"
std::vector<std::string> RulerTaskNames();

// Each document has one question, which comes after it; a document is the same whatever other tasks
// and lengths are asked for. Errors: kInvalidArgument for a name that is no task and for a length
// that a task cannot be shrunk to, kNotFound where the essays are not there.
Result<std::unique_ptr<Task>> MakeRulerTask(std::shared_ptr<const Model> model,
                                            const RulerOptions& options);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RULER_H_
