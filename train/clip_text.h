// Texts as CLIP's text tower takes them.
#ifndef ONDINE_TRAIN_CLIP_TEXT_H_
#define ONDINE_TRAIN_CLIP_TEXT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/clip_tokenizer.h"

namespace ondine::train {

// Start token, as many of the text's as there is room for, end token.
inline std::vector<std::int32_t> TokensOf(std::string_view text,
                                          const text::ClipTokenizer& tokenizer, int context) {
  std::vector<std::int32_t> tokens = {tokenizer.start()};
  for (const text::ClipTokenizer::Token& token : tokenizer.Encode(text)) tokens.push_back(token.id);
  tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(context) - 1));
  tokens.push_back(tokenizer.end());
  return tokens;
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_TEXT_H_
