// Texts that begin alike, as one row of tokens: the common trunk once, then a branch for each text.
#ifndef ONDINE_TRAIN_TOKEN_TREE_H_
#define ONDINE_TRAIN_TOKEN_TREE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ondine::train {

// A token sees those in front of it that are in the trunk or in its own branch. So every text gets
// the numbers it would get alone, and a question is computed once for all its options.
struct TokenTree {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> positions;  // in the text: branches begin at the same position
  std::vector<std::int32_t> branches;   // 0: trunk

  std::size_t size() const { return tokens.size(); }
};

// The token that is to be predicted behind place `source` of a tree.
struct Prediction {
  std::size_t source = 0;
  std::int32_t target = 0;
};

// A question with its options, ready to be scored.
struct ChoiceTree {
  TokenTree tree;
  std::vector<std::vector<Prediction>> options;  // what is scored of each
  std::size_t gold = 0;                          // index of the right one
};

// An option as tokens; those from `scored` on are its continuation. 1 <= scored < tokens.size().
struct OptionTokens {
  std::vector<std::int32_t> tokens;
  std::size_t scored = 0;
};
ChoiceTree BuildChoiceTree(std::span<const OptionTokens> options, std::size_t gold);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TOKEN_TREE_H_
