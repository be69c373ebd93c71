#include "train/token_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ondine::testing {
namespace {

using ::testing::ElementsAre;
using train::BuildChoiceTree;
using train::ChoiceTree;

TEST(TokenTree, SharesTheBeginning) {
  const ChoiceTree choice = BuildChoiceTree(
      std::vector<train::OptionTokens>{{{1, 2, 3, 10, 11, 12}, 3}, {{1, 2, 3, 10, 20}, 3}}, 1);
  EXPECT_EQ(choice.gold, 1u);
  EXPECT_THAT(choice.tree.tokens, ElementsAre(1, 2, 3, 10, 11));
  EXPECT_THAT(choice.tree.positions, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(choice.tree.branches, ElementsAre(0, 0, 0, 0, 1));
  ASSERT_EQ(choice.options[0].size(), 3u);
  EXPECT_EQ(choice.options[0][0].source, 2u);
  EXPECT_EQ(choice.options[0][1].source, 3u);
  EXPECT_EQ(choice.options[0][2].source, 4u);
  EXPECT_EQ(choice.options[0][2].target, 12);
  ASSERT_EQ(choice.options[1].size(), 2u);
  EXPECT_EQ(choice.options[1][1].source, 3u);
  EXPECT_EQ(choice.options[1][1].target, 20);
}

TEST(TokenTree, LettersNeedNoBranch) {
  const ChoiceTree choice =
      BuildChoiceTree(std::vector<train::OptionTokens>{{{1, 2, 65}, 2}, {{1, 2, 66}, 2}}, 0);
  EXPECT_THAT(choice.tree.tokens, ElementsAre(1, 2));
  EXPECT_EQ(choice.options[1][0].source, 1u);
}

TEST(TokenTree, AnOptionCanBeginAnother) {
  const ChoiceTree choice =
      BuildChoiceTree(std::vector<train::OptionTokens>{{{1, 2, 3}, 1}, {{1, 2, 3, 4, 5}, 1}}, 0);
  EXPECT_THAT(choice.tree.tokens, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(choice.tree.branches, ElementsAre(0, 0, 2, 2));
  EXPECT_EQ(choice.options[1][3].source, 3u);
}

}  // namespace
}  // namespace ondine::testing
