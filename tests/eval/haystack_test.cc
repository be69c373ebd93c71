#include "eval/haystack.h"

#include <gmock/gmock.h>

#include "eval/fixture.h"

namespace ondine::eval {
namespace {

using ::testing::HasSubstr;

class HaystackTest : public EvalTest {};

TEST_F(HaystackTest, HasTheLengthAskedFor) {
  const Haystack haystack(*model_, Sentences(0, 50));
  for (const int tokens : {100, 1000, 5000}) {  // the last goes round more than twice
    const std::string text = haystack.Build(tokens, 3, {});
    EXPECT_GE(text.size(), static_cast<std::size_t>(tokens));
    EXPECT_LT(text.size(), static_cast<std::size_t>(tokens) + 50) << "more than a sentence over";
  }
}

TEST_F(HaystackTest, SeedChoosesTheFirstSentence) {
  const Haystack haystack(*model_, Sentences(0, 50));
  EXPECT_THAT(haystack.Build(200, 7, {}),
              HasSubstr("Sentence 7 tells of nothing much. Sentence 8"));
  EXPECT_EQ(haystack.Build(200, 7, {}), haystack.Build(200, 7, {}));
  EXPECT_NE(haystack.Build(200, 7, {}), haystack.Build(200, 8, {}));
}

TEST_F(HaystackTest, InsertsStandAtTheirDepthsBetweenSentences) {
  const Haystack haystack(*model_, Sentences(0, 90));
  constexpr int kTokens = 2000;
  const std::string plain = haystack.Build(kTokens, 5, {});
  const std::map<double, std::string> inserts = {
      {0, " <start>"}, {0.25, " <quarter>"}, {0.9, " <late>"}, {1, " <end>"}};
  std::string text = haystack.Build(kTokens, 5, inserts);
  // Taken out again one by one: each position is then one in the plain text.
  for (const auto& [depth, insert] : inserts) {
    ASSERT_EQ(Count(text, insert), 1);
    const std::size_t at = text.find(insert);
    text.erase(at, insert.size());
    EXPECT_NEAR(static_cast<double>(at), depth * kTokens, 50) << insert;
    EXPECT_TRUE(at == 0 || text[at - 1] == '.') << insert;
  }
  EXPECT_EQ(text, plain);
}

TEST_F(HaystackTest, EssaysAreJoinedInTheOrderOfTheirNames) {
  WriteText(essays() / "b.txt", "second");
  WriteText(essays() / "a.txt", "first");
  WriteText(essays() / "B.txt", "before both");
  WriteText(essays() / "notes.md", "not an essay");
  const auto text = LoadEssays(data());
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "before both\n\nfirst\n\nsecond\n\n");
}

TEST_F(HaystackTest, AFileIsATextToo) {
  WriteText(essays() / "b.txt", "only this");
  const auto text = LoadTexts((essays() / "b.txt").string());
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "only this");
}

TEST_F(HaystackTest, MissingEssaysAreNamed) {
  const auto text = LoadEssays(data());
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(text.error().context, essays().string());
}

}  // namespace
}  // namespace ondine::eval
