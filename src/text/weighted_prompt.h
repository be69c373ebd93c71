// Queries in which words have a strength: "a (red:1.6) running shoe -(with laces)".
//
//   (w)       1.1, and (w:1.3) 1.3; the number replaces only this bracket's own 1.1
//   [w]       1 / 1.1
//   ((w))     brackets in brackets multiply
//   -w -(w)   w is not wanted; where the "-" stands in front of a word. -(w:0.5): less so
//   \( \) \[ \] \\ \- \:   the character itself
//
// The syntax is that of AUTOMATIC1111's prompts, but for what is not wanted.
#ifndef ONDINE_SRC_TEXT_WEIGHTED_PROMPT_H_
#define ONDINE_SRC_TEXT_WEIGHTED_PROMPT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/result.h"
#include "text/clip_tokenizer.h"

namespace ondine::text {

inline constexpr double kMostWeight = 100;

struct WeightedPrompt {
  struct Span {
    std::size_t begin, end;  // bytes of `text`
    double weight;
  };
  struct Unwanted {
    std::string text;
    double strength;  // 1 where none was named
  };
  std::string text;         // without markup
  std::vector<Span> spans;  // in order; what none of them covers weighs 1
  std::vector<Unwanted> unwanted;
};

// kInvalidArgument, naming the place: brackets that do not match, a weight that is negative, not
// finite or above kMostWeight (also as a product).
Result<WeightedPrompt> ParseWeightedPrompt(std::string_view query);

// Words that are not markup, as a query has them with this weight.
std::string WeightedWords(std::string_view words, double weight);

// The query that says the same, with a number for each weight.
std::string CanonicalQuery(const WeightedPrompt& prompt);

// For each token of prompt.text the weight of the span that covers most of its bytes.
std::vector<double> TokenWeights(const WeightedPrompt& prompt,
                                 const std::vector<ClipTokenizer::Token>& tokens);

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_WEIGHTED_PROMPT_H_
