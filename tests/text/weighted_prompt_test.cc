#include "text/weighted_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/random_text.h"

namespace ondine::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// What a span covers, and its weight.
std::vector<std::pair<std::string, double>> Spans(const std::string& query) {
  const auto prompt = ParseWeightedPrompt(query);
  EXPECT_TRUE(prompt.has_value()) << query << ": " << prompt.error().ToString();
  std::vector<std::pair<std::string, double>> spans;
  if (!prompt) return spans;
  for (const WeightedPrompt::Span& span : prompt->spans) {
    const double rounded = std::round(span.weight * 1e9) / 1e9;
    spans.emplace_back(prompt->text.substr(span.begin, span.end - span.begin), rounded);
  }
  return spans;
}

std::string Text(const std::string& query) {
  const auto prompt = ParseWeightedPrompt(query);
  return prompt ? prompt->text : "error: " + prompt.error().ToString();
}

std::string ErrorOf(const std::string& query) {
  const auto prompt = ParseWeightedPrompt(query);
  if (prompt) return "";
  EXPECT_EQ(prompt.error().code, ErrorCode::kInvalidArgument);
  return prompt.error().ToString();
}

using Pair = std::pair<std::string, double>;

TEST(WeightedPrompt, ATextWithoutMarkupIsItself) {
  EXPECT_EQ(Text("a red t-shirt: 3 for 2"), "a red t-shirt: 3 for 2");
  EXPECT_THAT(Spans("a red t-shirt: 3 for 2"), SizeIs(0));
}

TEST(WeightedPrompt, RoundBracketsStrengthenAndSquareOnesWeaken) {
  EXPECT_THAT(Spans("a (red) shoe"), ElementsAre(Pair("red", 1.1)));
  EXPECT_THAT(Spans("a [red] shoe"), ElementsAre(Pair("red", 0.909090909)));
  EXPECT_EQ(Text("a (red) [shoe]"), "a red shoe");
}

TEST(WeightedPrompt, ANumberReplacesOnlyItsOwnBracket) {
  EXPECT_THAT(Spans("a (red:1.6) shoe"), ElementsAre(Pair("red", 1.6)));
  EXPECT_THAT(Spans("((red:2))"), ElementsAre(Pair("red", 2.2)));
  EXPECT_THAT(Spans("(a (red:2) shoe:3)"),
              ElementsAre(Pair("a ", 3), Pair("red", 6), Pair(" shoe", 3)));
  EXPECT_THAT(Spans("(red : +.5)"), ElementsAre(Pair("red ", 0.5)));
  EXPECT_THAT(Spans("(red:0)"), ElementsAre(Pair("red", 0)));
}

TEST(WeightedPrompt, NestingMultiplies) {
  EXPECT_THAT(Spans("(((red)))"), ElementsAre(Pair("red", 1.331)));
  EXPECT_THAT(Spans("([red])"), SizeIs(0));
}

TEST(WeightedPrompt, AWeightOfOneIsNoMarkup) {
  EXPECT_THAT(Spans("a (red:1) (shoe:1.0)"), SizeIs(0));
  EXPECT_EQ(Text("a (red:1) (shoe:1.0)"), "a red shoe");
}

TEST(WeightedPrompt, AColonWithoutANumberIsText) {
  EXPECT_THAT(Spans("(note: red)"), ElementsAre(Pair("note: red", 1.1)));
  EXPECT_EQ(Text("16:9 (a:b:2)"), "16:9 a:b");
}

TEST(WeightedPrompt, WhatLooksLikeANumberAndIsNoneIsAnError) {
  for (const char* query : {"(red:1,5) shoe", "(red:1.6x)", "(red:0x10)", "(red: -2,0 )"}) {
    EXPECT_THAT(ErrorOf(query), HasSubstr("a number such as 1.5")) << query;
  }
  EXPECT_EQ(Text("(on 3:rd street) (a: 2 b)"), "on 3:rd street a: 2 b");
}

TEST(WeightedPrompt, WhatIsNotWantedStandsOutsideOfBrackets) {
  for (const char* query : {"shoe (-red)", "(shoe -red:2)", "[-red]", "a -(red -blue)"}) {
    EXPECT_THAT(ErrorOf(query), HasSubstr("outside of brackets")) << query;
  }
  EXPECT_EQ(Text("(t-shirt) (a - b) (t:2)(-:0.5)(shirt)"), "t-shirt a - b t-shirt");
}

TEST(WeightedPrompt, BackslashesMakeMarksText) {
  EXPECT_EQ(Text(R"(a \(red\) \[shoe\] \\ \-x)"), R"(a (red) [shoe] \ -x)");
  EXPECT_EQ(Text(R"(C:\dir)"), R"(C:\dir)");
}

TEST(WeightedPrompt, NamesWhatIsNotWanted) {
  const auto prompt = ParseWeightedPrompt("a shoe -laces -(high heels:0.5) t-shirt - x --y");
  ASSERT_TRUE(prompt.has_value());
  EXPECT_EQ(prompt->text, "a shoe   t-shirt - x --y");
  ASSERT_THAT(prompt->unwanted, SizeIs(2));
  EXPECT_EQ(prompt->unwanted[0].text, "laces");
  EXPECT_EQ(prompt->unwanted[0].strength, 1);
  EXPECT_EQ(prompt->unwanted[1].text, "high heels");
  EXPECT_EQ(prompt->unwanted[1].strength, 0.5);
}

TEST(WeightedPrompt, BracketsMustMatch) {
  EXPECT_THAT(ErrorOf("a (red shoe"), HasSubstr("(red shoe"));
  EXPECT_THAT(ErrorOf("a red) shoe"), HasSubstr(") shoe"));
  EXPECT_NE(ErrorOf("a (red] shoe"), "");
  EXPECT_NE(ErrorOf("a [red"), "");
  EXPECT_NE(ErrorOf("-(red"), "");
  EXPECT_NE(ErrorOf(std::string(100000, '(')), "");
  EXPECT_NE(ErrorOf(std::string(100000, '(') + "a" + std::string(100000, ')')), "");
}

TEST(WeightedPrompt, WeightsMustMakeSense) {
  for (const char* weight : {"-1", "nan", "inf", "-inf", "1e99", "101", "1e9999", "-0.1"}) {
    EXPECT_THAT(ErrorOf("a (red:" + std::string(weight) + ") shoe"), HasSubstr("0 to 100"))
        << weight;
  }
  EXPECT_NE(ErrorOf("((red:50):50)"), "");
  EXPECT_NE(ErrorOf("a [red:0.5] shoe"), "");
  EXPECT_NE(ErrorOf("-(a (red:2) shoe)"), "");
  EXPECT_NE(ErrorOf("-()"), "");
}

TEST(WeightedPrompt, TheCanonicalQuerySaysTheSame) {
  for (const char* query :
       {"a (red:1.6) shoe", "((a [b] c)) d", R"(\(x\) \-y (z:2) -no -(not this:0.25))", "plain",
        R"(-(a \) b) c\\d)", R"(a(b:2)-c (\-d:3))", "-only", R"(a(\-red:2))", R"(shoe -(\-red:2))",
        "-16:9", R"((a ratio of 16\:9:2))", R"((a:\-5))", R"(\(\-a)"}) {
    const auto prompt = ParseWeightedPrompt(query);
    ASSERT_TRUE(prompt.has_value()) << query;
    const std::string canonical = CanonicalQuery(*prompt);
    const auto again = ParseWeightedPrompt(canonical);
    ASSERT_TRUE(again.has_value()) << canonical;
    EXPECT_EQ(CanonicalQuery(*again), canonical);
    EXPECT_EQ(Spans(canonical), Spans(query)) << canonical;
    ASSERT_THAT(again->unwanted, SizeIs(prompt->unwanted.size()));
    for (std::size_t i = 0; i < prompt->unwanted.size(); ++i) {
      EXPECT_EQ(again->unwanted[i].text, prompt->unwanted[i].text);
      EXPECT_EQ(again->unwanted[i].strength, prompt->unwanted[i].strength);
    }
  }
}

TEST(WeightedPrompt, WordsThatAreNoMarkupCanBeWeighted) {
  testing::RandomText random(4);
  for (int round = 0; round < 2000; ++round) {
    std::string words = "w";
    for (std::size_t i = random.Below(12); i > 0; --i) words += "()[]\\-: 12.ab"[random.Below(13)];
    words += 'w';
    for (const double weight : {0.0, 1.0, 1.0 / 3, 8.5}) {
      const std::string query = "a " + WeightedWords(words, weight) + " b";
      const auto prompt = ParseWeightedPrompt(query);
      ASSERT_TRUE(prompt.has_value()) << query;
      EXPECT_EQ(prompt->text, "a " + words + " b") << query;
      EXPECT_TRUE(prompt->unwanted.empty()) << query;
      ASSERT_THAT(prompt->spans, SizeIs(weight == 1 ? 0 : 1)) << query;
      if (weight == 1) continue;
      EXPECT_EQ(prompt->spans[0].begin, 2u);
      EXPECT_EQ(prompt->spans[0].end, 2 + words.size());
      EXPECT_EQ(prompt->spans[0].weight, weight);
    }
  }
}

TEST(WeightedPrompt, AnyBytesGiveAPromptOrAnError) {
  testing::RandomText random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string query;
    for (std::size_t i = random.Below(40); i > 0; --i) {
      query += random.Below(3) == 0 ? random.Unicode(1)
                                    : std::string(1, "()[]\\-: 12.ab"[random.Below(13)]);
    }
    const auto prompt = ParseWeightedPrompt(query);
    if (!prompt) continue;
    std::size_t end = 0;
    for (const WeightedPrompt::Span& span : prompt->spans) {
      ASSERT_GE(span.begin, end);
      ASSERT_LT(span.begin, span.end);
      ASSERT_TRUE(span.weight >= 0 && span.weight <= kMostWeight);
      end = span.end;
    }
    ASSERT_LE(end, prompt->text.size());
    const std::string canonical = CanonicalQuery(*prompt);
    const auto again = ParseWeightedPrompt(canonical);
    ASSERT_TRUE(again.has_value())
        << ::testing::PrintToString(query) << " -> " << ::testing::PrintToString(canonical) << ": "
        << again.error().ToString();
    ASSERT_EQ(CanonicalQuery(*again), canonical) << ::testing::PrintToString(query);
  }
}

TEST(TokenWeights, ATokenTakesTheWeightOfMostOfItsBytes) {
  const WeightedPrompt prompt = *ParseWeightedPrompt("(ab:2)cde (fgh:3)i (j:4)k");
  // abcde, fghi, jk
  const std::vector<ClipTokenizer::Token> tokens = {
      {1, 0, 5, true}, {2, 6, 10, true}, {3, 11, 13, true}};
  EXPECT_THAT(TokenWeights(prompt, tokens), ElementsAre(1, 3, 4));
}

TEST(TokenWeights, AreOneWithoutMarkup) {
  EXPECT_THAT(TokenWeights(*ParseWeightedPrompt("ab cd"), {{1, 0, 2, true}, {2, 3, 5, true}}),
              ElementsAre(1, 1));
}

}  // namespace
}  // namespace ondine::text
