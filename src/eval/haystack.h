// Long text to hide things in.
#ifndef ONDINE_SRC_EVAL_HAYSTACK_H_
#define ONDINE_SRC_EVAL_HAYSTACK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine::eval {

// A text file, or all .txt files of a folder, joined in the bytewise order of their names.
Result<std::string> LoadTexts(const std::string& path);
// <data>/longctx/PaulGrahamEssays.
Result<std::string> LoadEssays(const std::string& data);

class Haystack {
 public:
  Haystack(const Model& model, std::string text);

  // A text of about `tokens` tokens that begins at a sentence chosen by `seed` (and goes on from
  // the corpus's start at its end), with each text of `inserts` put between two sentences at its
  // depth (0: start, 1: end).
  std::string Build(std::int64_t tokens, std::uint64_t seed,
                    const std::map<double, std::string>& inserts) const;

 private:
  struct Sentence {
    std::size_t begin, length;  // in bytes
    std::int64_t tokens;
  };
  std::string text_;
  std::vector<Sentence> sentences_;
};

}  // namespace ondine::eval

#endif  // ONDINE_SRC_EVAL_HAYSTACK_H_
