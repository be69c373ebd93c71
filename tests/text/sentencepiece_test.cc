// SentencePiece-style vocabularies through the tokenizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random_text.h"
#include "text/tokenizer.h"
#include "text/vocabulary_fixture.h"

namespace ondine::text {
namespace {

using ::ondine::testing::kControl;
using ::ondine::testing::kNormal;
using ::ondine::testing::RandomText;
using ::ondine::testing::VocabularyFixture;
using ::testing::ElementsAre;

constexpr TokenId kFirstByte = 3;

class SentencePiece : public ::testing::Test {
 protected:
  SentencePiece() : fixture_(VocabularyFixture::SentencePiece()) {
    fixture_.Set("tokenizer.ggml.add_bos_token", false);
  }
  TokenId Add(const std::string& text, float score) { return fixture_.Add(text, kNormal, score); }
  std::vector<TokenId> Encode(const std::string& text, const EncodeOptions& options = {}) {
    const auto tokenizer = fixture_.Load();
    if (!tokenizer) ADD_FAILURE() << tokenizer.error().ToString();
    return tokenizer ? tokenizer->Encode(text, options) : std::vector<TokenId>();
  }

  VocabularyFixture fixture_;
};

TEST_F(SentencePiece, MergesByScoreThenFromTheLeft) {
  fixture_.Set("tokenizer.ggml.add_space_prefix", false);
  const TokenId a = Add("a", -10);
  const TokenId b = Add("b", -10);
  const TokenId c = Add("c", -10);
  const TokenId ab = Add("ab", -3);
  const TokenId bc = Add("bc", -2);
  const TokenId aa = Add("aa", -3);
  EXPECT_THAT(Encode("abc"), ElementsAre(a, bc));
  EXPECT_THAT(Encode("abab"), ElementsAre(ab, ab));
  EXPECT_THAT(Encode("aab"), ElementsAre(aa, b));
  EXPECT_THAT(Encode("ac"), ElementsAre(a, c));
}

TEST_F(SentencePiece, PutsASpaceInFrontAndTakesItAwayAgain) {
  const TokenId space = Add("▁", -5);
  const TokenId a = Add("a", -6);
  const TokenId space_a = Add("▁a", -1);
  EXPECT_THAT(Encode("a"), ElementsAre(space_a));
  EXPECT_THAT(Encode(" a"), ElementsAre(space, space_a));
  EXPECT_THAT(Encode("aa a"), ElementsAre(space_a, a, space_a));
  EXPECT_THAT(Encode(""), ElementsAre());
  const auto tokenizer = fixture_.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->Piece(space_a), " a");
  EXPECT_EQ(tokenizer->Decode({space_a, space_a}), "a a");
  EXPECT_EQ(tokenizer->Decode({1, space_a}), "a");  // <s> is no text
}

TEST_F(SentencePiece, PutsASpaceBehindSpecialTokensToo) {
  const TokenId space_a = Add("▁a", -1);
  Add("▁", -5);
  Add("a", -6);
  EXPECT_THAT(Encode("a</s>a", {.parse_special = true}), ElementsAre(space_a, 2, space_a));
  fixture_.Set("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(Encode("a</s>a", {.parse_special = true}).size(), 3u);
  EXPECT_NE(Encode("a</s>a", {.parse_special = true})[2], space_a);
}

TEST_F(SentencePiece, FallsBackToBytes) {
  fixture_.Set("tokenizer.ggml.add_space_prefix", false);
  const TokenId e = Add("é", -1);
  EXPECT_THAT(Encode("é"), ElementsAre(e));
  EXPECT_THAT(Encode("è"), ElementsAre(kFirstByte + 0xC3, kFirstByte + 0xA8));
  EXPECT_THAT(Encode("\xFFé\xC3"), ElementsAre(kFirstByte + 0xFF, e, kFirstByte + 0xC3));
}

TEST_F(SentencePiece, UsesTheUnknownTokenWithoutByteTokens) {
  VocabularyFixture fixture("llama");
  fixture.Add("<unk>", ondine::testing::kUnknown);
  fixture.Add("<s>", kControl);
  fixture.Add("</s>", kControl);
  const TokenId a = fixture.Add("a");
  fixture.Set("tokenizer.ggml.add_space_prefix", false);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("axa"), ElementsAre(1, a, 0, a));
}

TEST_F(SentencePiece, TokensWithASpaceInsideAreFound) {
  fixture_.Set("tokenizer.ggml.add_space_prefix", false);
  Add("▁", -9);
  Add("b", -9);
  Add("c", -9);
  const TokenId space_b = Add("▁b", -3);
  const TokenId joined = Add("c▁b", -2);
  const TokenId spaces = Add("▁▁", -1);
  EXPECT_THAT(Encode("c b"), ElementsAre(joined));
  EXPECT_THAT(Encode("b b"), ElementsAre(joined - 3, space_b));
  EXPECT_THAT(Encode("b   b"), ElementsAre(joined - 3, spaces, space_b));
}

TEST_F(SentencePiece, PlainTextNeverBecomesAControlToken) {
  fixture_.Set("tokenizer.ggml.add_space_prefix", false);
  for (const char* piece : {"<", "s", ">", "<s", "/", "0", "x", "A"}) Add(piece, -1);
  for (const char* text : {"<s>", "</s>", "<unk>", "<0x0A>"}) {
    for (const TokenId id : Encode(text)) EXPECT_GE(id, kFirstByte) << text;
  }
  EXPECT_THAT(Encode("<s>", {.parse_special = true}), ElementsAre(1));
}

TEST_F(SentencePiece, EveryTextComesBack) {
  Add("▁", -5);
  Add("▁a", -1);
  Add("é", -2);
  const auto tokenizer = fixture_.Load();
  ASSERT_TRUE(tokenizer);
  RandomText random(3);
  for (int i = 0; i < 300; ++i) {
    for (std::string text : {random.Unicode(40), random.Bytes(40)}) {
      // U+2581 itself is a space afterwards; that is the rule of this kind of vocabulary.
      for (std::size_t at; (at = text.find("▁")) != std::string::npos;) {
        text[at] = ' ';
        text.erase(at + 1, 2);
      }
      ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);
    }
  }
}

TEST_F(SentencePiece, AWordOfAMegabyteIsMergedInReasonableTime) {
  fixture_.Set("tokenizer.ggml.add_space_prefix", false);
  TokenId longest = 0;
  std::string text = "a";
  for (int i = 0; i <= 6; ++i, text += text) longest = Add(text, static_cast<float>(i));
  EXPECT_EQ(Encode(std::string(1 << 20, 'a')), std::vector<TokenId>(1 << 14, longest));
}

TEST_F(SentencePiece, TakesItsOwnNumbersWhereTheFileHasNone) {
  VocabularyFixture fixture = VocabularyFixture::SentencePiece();
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_TRUE(tokenizer->EndsGeneration(2));
}

}  // namespace
}  // namespace ondine::text
