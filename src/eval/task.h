// What an evaluation consists of: documents to read and questions about them.
#ifndef ONDINE_SRC_EVAL_TASK_H_
#define ONDINE_SRC_EVAL_TASK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ondine/result.h"

namespace ondine::eval {

struct Query {
  std::string question;
  std::string prefix;             // how the answer begins; not scored
  std::vector<std::string> gold;  // texts that the answer should contain
  int max_tokens = 16;
  // What the score is broken down by: "kind" -> "number", "depth" -> "0.5".
  std::map<std::string, std::string> labels;
};

struct Item {
  std::string document;
  std::vector<Query> queries;
};

// Share of the gold texts that occur in the answer, letter case aside: RULER's rule.
double ShareFound(const Query& query, const std::string& answer);

class Task {
 public:
  virtual ~Task() = default;
  virtual std::string name() const = 0;
  virtual std::int64_t size() const = 0;  // items
  // Items are made one at a time, since long ones would fill the memory.
  virtual Result<Item> Make(std::int64_t index) const = 0;
  virtual double Score(const Query& query, const std::string& answer) const {
    return ShareFound(query, answer);
  }
};

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_TASK_H_
