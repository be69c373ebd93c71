#include "train/token_tree.h"

#include <algorithm>
#include <cassert>

namespace ondine::train {
namespace {

std::size_t CommonPrefix(std::span<const OptionTokens> options) {
  const std::vector<std::int32_t>& first = options.front().tokens;
  std::size_t length = first.size();
  for (const OptionTokens& option : options) {
    const auto end =
        std::mismatch(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(length),
                      option.tokens.begin(), option.tokens.end());
    length = static_cast<std::size_t>(end.first - first.begin());
  }
  return length;
}

void Append(const OptionTokens& option, std::size_t begin, std::size_t end, std::int32_t branch,
            TokenTree& tree) {
  for (std::size_t i = begin; i < end; ++i) {
    tree.tokens.push_back(option.tokens[i]);
    tree.positions.push_back(static_cast<std::int32_t>(i));
    tree.branches.push_back(branch);
  }
}

}  // namespace

ChoiceTree BuildChoiceTree(std::span<const OptionTokens> options, std::size_t gold) {
  assert(!options.empty() && gold < options.size());
  ChoiceTree result;
  result.gold = gold;
  // The last token of a text predicts nothing, so it is left out: an option of one token, such as
  // a letter, needs no branch at all.
  std::size_t trunk = CommonPrefix(options);
  for (const OptionTokens& option : options) trunk = std::min(trunk, option.tokens.size() - 1);
  Append(options.front(), 0, trunk, 0, result.tree);
  for (const OptionTokens& option : options) {
    assert(option.scored >= 1 && option.scored < option.tokens.size());
    const std::size_t start = result.tree.size();
    const auto branch = static_cast<std::int32_t>(result.options.size()) + 1;
    Append(option, trunk, option.tokens.size() - 1, branch, result.tree);
    std::vector<Prediction>& predictions = result.options.emplace_back();
    for (std::size_t i = option.scored; i < option.tokens.size(); ++i) {
      const std::size_t before = i - 1;
      predictions.push_back({before < trunk ? before : start + before - trunk, option.tokens[i]});
    }
  }
  return result;
}

}  // namespace ondine::train
