#include "text/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random_text.h"
#include "base/temp_dir.h"
#include "formats/gguf.h"
#include "text/clip_vectors.h"

namespace ondine::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kMerges = "../shared/data/tokenizers/clip/bpe_simple_vocab_16e6.txt.gz";
constexpr std::int32_t kClipTokens = 49408;

std::vector<TokenId> Ids(const std::vector<ClipTokenizer::Token>& tokens) {
  std::vector<TokenId> ids;
  for (const ClipTokenizer::Token& token : tokens) ids.push_back(token.id);
  return ids;
}

std::string Unpacked(const std::string& path) {
  std::string text;
  FILE* pipe = popen(("gzip -dc " + path).c_str(), "r");
  char buffer[1 << 16];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  pclose(pipe);
  return text;
}

// "ab", "abc" at the end of a word, "bc" at the end of one: ids 512 to 514.
ClipVocabulary SmallVocabulary() {
  auto vocabulary = ClipVocabulary::FromMerges("#version\na b\nab c</w>\nb c</w>\n", 517, "merges");
  EXPECT_TRUE(vocabulary.has_value());
  return *vocabulary;
}

ClipTokenizer Small() {
  return *ClipTokenizer::Create(SmallVocabulary());
}

class ClipVectors : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kMerges)) GTEST_SKIP() << kMerges << " not found";
    vocabulary_ = *ClipVocabulary::FromMerges(Unpacked(kMerges), kClipTokens, kMerges);
  }
  ClipVocabulary vocabulary_;
};

TEST_F(ClipVectors, AgreeWithTransformers) {
  const ClipTokenizer tokenizer = *ClipTokenizer::Create(vocabulary_);
  for (const testing::ClipVector& vector : testing::kClipVectors) {
    EXPECT_EQ(Ids(tokenizer.Encode(vector.text)), vector.ids) << vector.text;
  }
}

TEST_F(ClipVectors, AFileWithoutMergesIsCompletedFromItsTokens) {
  const testing::TempDir folder;
  const std::string path = folder.File("clip.gguf");
  formats::GgufWriter writer;
  writer.Set("tokenizer.ggml.tokens", vocabulary_.tokens);
  ASSERT_TRUE(writer.Write(path).has_value());
  const auto tokenizer = ClipTokenizer::FromGguf(*formats::GgufFile::Open(path));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().ToString();
  for (const testing::ClipVector& vector : testing::kClipVectors) {
    EXPECT_EQ(Ids(tokenizer->Encode(vector.text)), vector.ids) << vector.text;
  }
}

TEST(ClipTokenizer, SpecialTokensAreTheLastTwo) {
  EXPECT_EQ(Small().start(), 515);
  EXPECT_EQ(Small().end(), 516);
  EXPECT_EQ(Small().size(), 517);
}

TEST(ClipTokenizer, TokensKnowTheirPlaceInTheText) {
  const auto tokens = Small().Encode("  ABC  abC,");
  ASSERT_THAT(tokens, SizeIs(3));
  EXPECT_EQ(tokens[0].id, 513);
  EXPECT_EQ(tokens[0].begin, 2u);
  EXPECT_EQ(tokens[0].end, 5u);
  EXPECT_EQ(tokens[1].begin, 7u);
  EXPECT_EQ(tokens[1].end, 10u);
  EXPECT_EQ(tokens[2].begin, 10u);
  EXPECT_EQ(tokens[2].end, 11u);
}

// A and a combining ring, two characters of three bytes, are one of two bytes after composition;
// the Turkish capital I with a dot becomes two characters.
TEST(ClipTokenizer, PlacesSurviveCompositionAndLowerCase) {
  const std::string text = "A\xCC\x8A \xC4\xB0z";
  const auto tokens = Small().Encode(text);
  ASSERT_THAT(tokens, SizeIs(6));
  for (std::size_t i : {0u, 1u}) {
    EXPECT_EQ(tokens[i].begin, 0u);
    EXPECT_EQ(tokens[i].end, 3u);
  }
  for (std::size_t i : {2u, 3u, 4u}) {
    EXPECT_EQ(tokens[i].begin, 4u);
    EXPECT_EQ(tokens[i].end, 6u);
  }
  EXPECT_EQ(tokens[5].begin, 6u);
}

TEST(ClipTokenizer, AnyBytesGiveTokensInOrder) {
  testing::RandomText random(7);
  const ClipTokenizer tokenizer = Small();
  for (int round = 0; round < 300; ++round) {
    const std::string text = round % 2 == 0 ? random.Bytes(40) : random.Unicode(40);
    std::size_t begin = 0;
    for (const ClipTokenizer::Token& token : tokenizer.Encode(text)) {
      ASSERT_GE(token.begin, begin);
      ASSERT_LT(token.begin, token.end);
      ASSERT_LE(token.end, text.size());
      begin = token.begin;
    }
  }
}

TEST(ClipTokenizer, EmptyTextsHaveNoTokens) {
  EXPECT_THAT(Small().Encode(""), SizeIs(0));
  EXPECT_THAT(Small().Encode(" \t\n\xE3\x80\x80"), SizeIs(0));
}

TEST(ClipVocabulary, SurvivesItsFile) {
  const testing::TempDir folder;
  formats::GgufWriter writer;
  SmallVocabulary().Write(writer);
  ASSERT_TRUE(writer.Write(folder.File("clip.gguf")).has_value());
  const auto tokenizer =
      ClipTokenizer::FromGguf(*formats::GgufFile::Open(folder.File("clip.gguf")));
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ(Ids(tokenizer->Encode("abc bc")), Ids(Small().Encode("abc bc")));
}

TEST(ClipVocabulary, MergesMustBeOfTokensBeforeThem) {
  const auto vocabulary = ClipVocabulary::FromMerges("#v\na b\nabc d\n", 516, "merges.txt");
  ASSERT_FALSE(vocabulary.has_value());
  EXPECT_THAT(vocabulary.error().ToString(), HasSubstr("merges.txt:3"));
}

TEST(ClipVocabulary, TooFewMergesAreRefused) {
  const auto vocabulary = ClipVocabulary::FromMerges("a b\n", 600, "merges.txt");
  ASSERT_FALSE(vocabulary.has_value());
  EXPECT_EQ(vocabulary.error().code, ErrorCode::kInvalidArgument);
}

TEST(ClipVocabulary, IsCutToTheFirstMerges) {
  const auto vocabulary = ClipVocabulary::FromMerges("a b\nb c</w>\n", 515, "merges.txt");
  ASSERT_TRUE(vocabulary.has_value());
  EXPECT_THAT(vocabulary->merges, ElementsAre("a b"));
  EXPECT_THAT(vocabulary->tokens, SizeIs(515));
}

TEST(ClipTokenizer, AVocabularyOfAnotherKindIsRefused) {
  ClipVocabulary vocabulary = SmallVocabulary();
  vocabulary.tokens[3] = "x y";
  EXPECT_FALSE(ClipTokenizer::Create(vocabulary).has_value());
  vocabulary = SmallVocabulary();
  vocabulary.merges.pop_back();
  EXPECT_FALSE(ClipTokenizer::Create(vocabulary).has_value());
}

}  // namespace
}  // namespace ondine::text
