// Vocabularies that contradict themselves: an error or sane behaviour, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "text/vocabulary_fixture.h"

namespace ondine::text {
namespace {

using ::ondine::testing::kControl;
using ::ondine::testing::kUserDefined;
using ::ondine::testing::VocabularyFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectCorrupt(const VocabularyFixture& fixture, const std::string& message) {
  const auto tokenizer = fixture.Load();
  ASSERT_FALSE(tokenizer) << message;
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(tokenizer.error().message, HasSubstr(message));
  EXPECT_FALSE(tokenizer.error().context.empty());
}

TEST(HostileVocabulary, SpecialIdsOutsideTheVocabularyAreRefused) {
  for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                          "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.eot_token_id"}) {
    for (const std::int64_t id : {std::int64_t{256}, std::int64_t{-2}, std::int64_t{1} << 40}) {
      VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
      fixture.Set(key, id);
      ExpectCorrupt(fixture, key);
    }
  }
}

TEST(HostileVocabulary, MinusOneMeansNoSuchToken) {
  VocabularyFixture fixture = VocabularyFixture::SentencePiece();
  fixture.Set("tokenizer.ggml.unknown_token_id", std::int64_t{-1});
  fixture.Set("tokenizer.ggml.eot_token_id", std::uint64_t{0xFFFFFFFF});
  EXPECT_TRUE(fixture.Load());
}

TEST(HostileVocabulary, ListsOfDifferentLengthsAreRefused) {
  VocabularyFixture scores = VocabularyFixture::SentencePiece();
  scores.scores().pop_back();
  ExpectCorrupt(scores, "tokenizer.ggml.scores has 258 entries for 259 tokens");
  VocabularyFixture types = VocabularyFixture::SentencePiece();
  types.types().push_back(1);
  ExpectCorrupt(types, "tokenizer.ggml.token_type");
}

TEST(HostileVocabulary, ScoresMustBeNumbersButMayBeInfinite) {
  VocabularyFixture nan = VocabularyFixture::SentencePiece();
  nan.scores()[17] = std::nanf("");
  ExpectCorrupt(nan, "tokenizer.ggml.scores[17]");
  VocabularyFixture infinite = VocabularyFixture::SentencePiece();
  infinite.Set("tokenizer.ggml.add_space_prefix", false);
  const TokenId ab = infinite.Add("ab", 1, std::numeric_limits<float>::infinity());
  infinite.Add("bc", 1, -std::numeric_limits<float>::infinity());
  const auto tokenizer = infinite.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->Encode("abc").at(1), ab);
}

TEST(HostileVocabulary, ValuesOfTheWrongTypeAreRefused) {
  for (const char* key : {"tokenizer.ggml.pre", "tokenizer.ggml.add_bos_token",
                          "tokenizer.ggml.bos_token_id", "general.name"}) {
    VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
    fixture.Set(key, 1.5);
    ExpectCorrupt(fixture, key);
  }
}

TEST(HostileVocabulary, FilesWithoutAVocabularyAreRefused) {
  VocabularyFixture empty("gpt2");
  EXPECT_FALSE(empty.Load());
  const formats::GgufFile nothing;
  const auto tokenizer = Tokenizer::FromGguf(nothing);
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kNotFound);
}

TEST(HostileVocabulary, MergesThatCannotApplyAreIgnored) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  for (const char* merge :
       {"", " ", "a", "a ", " a", "a b", "zz y", "b nothing", "  ", "\xFF \xFF"}) {
    fixture.AddRawMerge(merge);
  }
  fixture.AddMerge("b", "c");
  fixture.AddMerge("b", "c");
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("abc"), ElementsAre('a', 256));
}

TEST(HostileVocabulary, OfEqualTokensTheFirstIsUsed) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  fixture.Add("a");
  fixture.Add("<x>", kUserDefined);
  fixture.Add("<x>", kUserDefined);
  fixture.Add("");
  fixture.Add("", kControl);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("a<x>", {.parse_special = true}), ElementsAre('a', 257));
  EXPECT_EQ(tokenizer->Piece(259), "");
  EXPECT_EQ(tokenizer->Decode({-5, 'a', 1000000}), "a");
}

TEST(HostileVocabulary, SpecialTokensOfAbsurdLengthAreRefused) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  fixture.Add(std::string(5000, '<'), kUserDefined);
  ExpectCorrupt(fixture, "5000 bytes");
}

TEST(HostileVocabulary, NestedSpecialTokensTakeTimeLinearInTheText) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  std::string run;
  TokenId longest = 0;
  for (int i = 0; i < 500; ++i) longest = fixture.Add(run += '=', kUserDefined);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->Encode(std::string(500000, '=')), std::vector<TokenId>(1000, longest));
}

TEST(HostileVocabulary, ByteTokensThatAreNoBytesAreText) {
  VocabularyFixture fixture = VocabularyFixture::SentencePiece();
  const TokenId odd = fixture.Add("<0xZZ>", ondine::testing::kByte);
  const TokenId name = fixture.Add("x▁y", ondine::testing::kByte);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->Piece(odd), "<0xZZ>");
  EXPECT_EQ(tokenizer->Piece(name), "x y");
}

}  // namespace
}  // namespace ondine::text
