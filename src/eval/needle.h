// Needles in a haystack: facts put into a long text of essays and asked for afterwards.
#ifndef ONDINE_SRC_EVAL_NEEDLE_H_
#define ONDINE_SRC_EVAL_NEEDLE_H_

#include <memory>
#include <string>
#include <vector>

#include "eval/task.h"
#include "ondine/model.h"

namespace ondine::eval {

struct NeedleOptions {
  std::string data = "../shared/data";         // holds longctx/PaulGrahamEssays
  std::string texts;                           // a file or folder of .txt files instead of these
  std::vector<std::int64_t> lengths = {4096};  // tokens of a document
  std::vector<double> depths = {0.1, 0.5, 0.9};
  std::vector<std::string> kinds = {"number", "words", "paraphrase"};
  std::int64_t items = 50;  // documents per length
  std::uint64_t seed = 1;
};

// A document holds one needle of each kind asked for, each at another depth; from document to
// document the depths change places. Kinds: "number" (a five-digit key, said twice), "words" (two
// words), "paraphrase" (a fact that the question words differently; only a person's name is in
// both). Errors: kNotFound where the texts are not there, kInvalidArgument where they are empty.
Result<std::unique_ptr<Task>> MakeNeedleTask(std::shared_ptr<const Model> model,
                                             const NeedleOptions& options);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_NEEDLE_H_
