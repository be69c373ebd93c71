// Tokens that are found as a whole, and tokens that end a turn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "text/vocabulary_fixture.h"

namespace ondine::text {
namespace {

using ::ondine::testing::kControl;
using ::ondine::testing::kNormal;
using ::ondine::testing::kUserDefined;
using ::ondine::testing::VocabularyFixture;
using ::testing::ElementsAre;

constexpr EncodeOptions kParse = {.add_bos = true, .parse_special = true};

TEST(SpecialTokens, ControlTokensNeedPermissionUserDefinedOnesDoNot) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  const TokenId control = fixture.Add("<c>", kControl);
  const TokenId user = fixture.Add("<u>", kUserDefined);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("a<c>b", kParse), ElementsAre('a', control, 'b'));
  EXPECT_THAT(tokenizer->Encode("<c>"), ElementsAre('<', 'c', '>'));
  EXPECT_THAT(tokenizer->Encode("a<u>"), ElementsAre('a', user));
  EXPECT_EQ(tokenizer->Piece(control), "");
  EXPECT_EQ(tokenizer->Piece(control, true), "<c>");
  EXPECT_EQ(tokenizer->Decode({'a', control, user}), "a<u>");
  EXPECT_EQ(tokenizer->Decode({'a', control, user}, true), "a<c><u>");
}

TEST(SpecialTokens, LeftmostAndLongestWins) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  const TokenId one = fixture.Add("\n", kUserDefined);
  const TokenId two = fixture.Add("\n\n", kUserDefined);
  const TokenId three = fixture.Add("\n\n\n", kUserDefined);
  const TokenId long_control = fixture.Add("\n\n\n\n", kControl);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("\n\n\n\n\n"), ElementsAre(three, two));
  EXPECT_THAT(tokenizer->Encode("\n\n\n\n\n", kParse), ElementsAre(long_control, one));
  EXPECT_THAT(tokenizer->Encode("a\nb"), ElementsAre('a', one, 'b'));
}

TEST(SpecialTokens, SwallowTheSpaceBehindThemInThePhi3Family) {
  for (const auto& [name, swallow] :
       {std::pair("Phi-3 mini", true), std::pair("my phi3", true), std::pair("Gemma", false)}) {
    VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
    fixture.Set("general.name", std::string(name));
    const TokenId user = fixture.Add("<|user|>", kControl);
    const TokenId text_end = fixture.Add("<|endoftext|>", kControl);
    const auto tokenizer = fixture.Load();
    ASSERT_TRUE(tokenizer);
    if (swallow) {
      EXPECT_THAT(tokenizer->Encode("<|user|> \n a", kParse), ElementsAre(user, 'a')) << name;
      EXPECT_THAT(tokenizer->Encode("<|user|> \n", kParse), ElementsAre(user)) << name;
    } else {
      EXPECT_THAT(tokenizer->Encode("<|user|>\na", kParse), ElementsAre(user, '\n', 'a')) << name;
    }
    EXPECT_THAT(tokenizer->Encode("<|endoftext|>\na", kParse), ElementsAre(text_end, '\n', 'a'));
  }
}

TEST(SpecialTokens, LongListsDoNotSlowATextDown) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  TokenId last = 0;
  for (int i = 0; i < 20000; ++i) {
    last = fixture.Add("<unused" + std::to_string(i) + ">", kUserDefined);
  }
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "<unused>";
  EXPECT_EQ(tokenizer->Encode(text + "<unused19999>").back(), last);
}

TEST(EndsGeneration, KnowsTheUsualTokens) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  const TokenId eos = fixture.Add("<end>", kControl);
  const TokenId eot = fixture.Add("<turn-end>", kControl);
  const TokenId im_end = fixture.Add("<|im_end|>", kControl);
  const TokenId gemma = fixture.Add("<end_of_turn>", kUserDefined);
  const TokenId plain = fixture.Add("<|eot_id|>", kNormal);
  const TokenId start = fixture.Add("<|im_start|>", kControl);
  const TokenId html = fixture.Add("</s>", kUserDefined);
  fixture.Set("tokenizer.ggml.eos_token_id", std::int64_t{eos});
  fixture.Set("tokenizer.ggml.eot_token_id", std::int64_t{eot});
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  for (const TokenId id : {eos, eot, im_end, gemma}) EXPECT_TRUE(tokenizer->EndsGeneration(id));
  for (const TokenId id : {plain, start, html, TokenId{'a'}, TokenId{-1}, TokenId{1 << 30}}) {
    EXPECT_FALSE(tokenizer->EndsGeneration(id)) << id;
  }
  // What ends a turn cannot be smuggled in as text, whatever type the file gives it.
  EXPECT_EQ(tokenizer->Encode("<end_of_turn>").size(), 13u);
  EXPECT_THAT(tokenizer->Encode("</s>"), ElementsAre(html));
}

TEST(EndsGeneration, APartOfATurnIsNotItsEnd) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-4o");
  const TokenId end = fixture.Add("<|end|>", kControl);
  const TokenId done = fixture.Add("<|return|>", kControl);
  const TokenId call = fixture.Add("<|call|>", kControl);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_FALSE(tokenizer->EndsGeneration(end));
  EXPECT_TRUE(tokenizer->EndsGeneration(done));
  EXPECT_TRUE(tokenizer->EndsGeneration(call));
}

}  // namespace
}  // namespace ondine::text
