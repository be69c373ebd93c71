#include "images/query_text.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ondine::images {

TowerInput MakeInput(const text::ClipTokenizer& tokenizer, const TextTokens& tokens,
                     const std::vector<double>& weights) {
  TowerInput input;
  input.ids.push_back(tokenizer.start());
  for (const auto& token : tokens) input.ids.push_back(token.id);
  input.ids.push_back(tokenizer.end());
  if (std::ranges::all_of(weights, [](double weight) { return weight == 1; })) return input;
  input.log_weights.assign(input.ids.size(), 0.0f);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    input.log_weights[i + 1] = weights[i] > 0 ? static_cast<float>(std::log(weights[i]))
                                              : -std::numeric_limits<float>::infinity();
  }
  return input;
}

std::vector<TextWord> WordsOf(const TextTokens& tokens, const std::vector<double>& weights) {
  std::vector<TextWord> words;
  std::size_t first = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    // The last one may have been cut.
    const bool ends = tokens[i].ends_word || i + 1 == tokens.size() || weights[i] != weights[i + 1];
    if (!ends) continue;
    words.push_back({first, i + 1, tokens[first].begin, tokens[i].end});
    first = i + 1;
  }
  return words;
}

}  // namespace ondine::images
