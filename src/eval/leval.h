// L-Eval's closed tasks (An et al., "L-Eval: Instituting Standardized Evaluation for Long Context
// Language Models", ACL 2024; arXiv 2307.11088): lectures and stories with multiple-choice
// questions, long chats whose topics are asked for.
#ifndef ONDINE_SRC_EVAL_LEVAL_H_
#define ONDINE_SRC_EVAL_LEVAL_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "eval/task.h"
#include "ondine/result.h"

namespace ondine::eval {

// Every fifth document of a file, from the first, is for choosing settings.
enum class LEvalSplit { kSettings, kFinal, kAll };
Result<LEvalSplit> ParseLEvalSplit(std::string_view name);  // "settings", "final", "all"

struct LEvalOptions {
  std::string data = "../shared/data";  // holds longctx/leval/closed/<task>.jsonl
  std::vector<std::string> tasks;       // empty: all
  LEvalSplit split = LEvalSplit::kFinal;
};

// "coursera", "quality", "topic_retrieval_longchat"
std::vector<std::string> LEvalTaskNames();

// An item is a document with all its questions. Errors: kInvalidArgument for a name that is no
// task, kNotFound where a file is not there, kCorrupt for a line that is not what it should be (the
// context is "file:line", counted from 1).
Result<std::unique_ptr<Task>> MakeLEvalTask(const LEvalOptions& options);

// The option letters, A to H, with which an answer begins, sorted: "AC" of " (C), A: because". With
// one letter wanted, the first.
std::string OptionLetters(std::string_view answer, bool several);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_LEVAL_H_
