// A text with strengths, as the text tower reads it.
#ifndef ONDINE_SRC_IMAGES_QUERY_TEXT_H_
#define ONDINE_SRC_IMAGES_QUERY_TEXT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "models/clip_pass.h"
#include "text/clip_tokenizer.h"

namespace ondine::images {

using TextTokens = std::vector<text::ClipTokenizer::Token>;

// Start, the text's tokens, end; and the logarithms of their weights.
struct TowerInput {
  std::vector<text::TokenId> ids;
  std::vector<float> log_weights;  // empty where all weights are 1

  models::ClipText Text() const { return {ids, log_weights}; }
};

TowerInput MakeInput(const text::ClipTokenizer& tokenizer, const TextTokens& tokens,
                     const std::vector<double>& weights);

// The tokens [begin, end) of a word, and the bytes of the text that they stand for.
struct TextWord {
  std::size_t begin, end;
  std::size_t first_byte, end_byte;
};
// A word in parts of which the weights differ is given as these parts.
std::vector<TextWord> WordsOf(const TextTokens& tokens, const std::vector<double>& weights);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_QUERY_TEXT_H_
