// Runs a task: reads each document in a session and asks its questions.
#ifndef ONDINE_SRC_EVAL_RUNNER_H_
#define ONDINE_SRC_EVAL_RUNNER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/task.h"
#include "ondine/session.h"

namespace ondine::eval {

// Where the text that a question is asked about comes from.
enum class Reading {
  kAgnostic,   // read once, no question known: all questions are asked of one pot
  kQuestion,   // read again for every question, with the question as catalyst
  kRetrieval,  // only the chunks that BM25 finds for the question are read, as many as fit
};

struct RunOptions {
  SessionOptions session;
  Reading reading = Reading::kAgnostic;
  bool chat_template = true;
  // AskOptions::reread. With several, each question is asked with each: scores are the first one's,
  // and those of all are broken down by "reread/<label>". Empty: the default.
  std::vector<std::int64_t> reread;
  std::int64_t limit = -1;  // items; < 0: all
  std::function<void(std::int64_t done, std::int64_t total, double score)> on_progress;
  StopToken stop_token;
};

struct Answer {
  std::int64_t item = 0;
  Query query;
  std::string text;
  double score = 0;
  std::optional<std::int64_t> reread;  // where RunOptions says so
};

struct Cell {
  std::int64_t n = 0;
  double score = 0;
  std::array<double, 2> ci95 = {0, 0};
};

struct Report {
  std::string task;
  Cell total;
  std::map<std::string, std::map<std::string, Cell>> cells;  // label -> value -> cell
  std::vector<Answer> answers;
  std::int64_t documents = 0, tokens_read = 0, peak_entries = 0, peak_bytes = 0;
  double seconds_reading = 0, seconds_asking = 0;
};

Result<Report> RunTask(std::shared_ptr<const Model> model, const Task& task,
                       const RunOptions& options);

// Mean and 95 % interval of scores between 0 and 1: Wilson's interval where all are 0 or 1, else
// the normal approximation.
Cell Summarize(const std::vector<double>& scores);

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RUNNER_H_
