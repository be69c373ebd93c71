// Makers of RULER's documents, one a kind of task.
#ifndef ONDINE_SRC_EVAL_RULER_GENERATORS_H_
#define ONDINE_SRC_EVAL_RULER_GENERATORS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "eval/haystack.h"

namespace ondine::eval {

struct RulerSample {
  std::string document, question;
  std::string prefix;  // how the answer begins
  std::vector<std::string> gold;
};

class RulerGenerator {
 public:
  virtual ~RulerGenerator() = default;
  // A sample with `size` units of filler, each of which is a token or more. The same arguments give
  // the same sample on every machine; another size leaves question and gold as they are.
  virtual RulerSample Build(std::int64_t size, std::uint64_t seed) const = 0;
  virtual std::int64_t smallest() const = 0;  // size that still makes a task
  virtual int max_tokens() const = 0;         // of the answer
};

// Needles in a haystack: "One of the special magic numbers for <key> is: <value>."
struct NiahSettings {
  enum class Kind { kWords, kNumbers, kUuids };
  Kind keys = Kind::kWords, values = Kind::kNumbers;
  int key_count = 1;
  int values_per_key = 1;
  int asked = 1;  // keys that the question is about
};
// Unit: a token of `haystack` or, where that is null, a needle with another key.
std::unique_ptr<RulerGenerator> MakeNiah(const NiahSettings& settings,
                                         std::shared_ptr<const Haystack> haystack);

// Variable tracking: a chain of five assignments among `noise`. Unit: a token of it.
std::unique_ptr<RulerGenerator> MakeVariableTracking(std::shared_ptr<const Haystack> noise);

// Common words: ten words thirty times each among others three times each. Unit: one of the others.
std::unique_ptr<RulerGenerator> MakeCommonWords();

// Frequent words: made-up words whose frequencies follow a zeta distribution. Unit: a word.
std::unique_ptr<RulerGenerator> MakeFrequentWords();

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_RULER_GENERATORS_H_
