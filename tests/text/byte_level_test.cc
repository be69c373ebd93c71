// Byte-level BPE through the tokenizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random_text.h"
#include "text/tokenizer.h"
#include "text/vocabulary_fixture.h"

namespace ondine::text {
namespace {

using ::ondine::testing::kControl;
using ::ondine::testing::kUserDefined;
using ::ondine::testing::RandomText;
using ::ondine::testing::VocabularyFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ByteLevel, MergesByRankThenFromTheLeft) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  const TokenId bc = fixture.AddMerge("b", "c");
  const TokenId ab = fixture.AddMerge("a", "b");
  const TokenId aa = fixture.AddMerge("a", "a");
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer) << tokenizer.error().ToString();
  EXPECT_THAT(tokenizer->Encode("abc"), ElementsAre('a', bc));
  EXPECT_THAT(tokenizer->Encode("ab"), ElementsAre(ab));
  EXPECT_THAT(tokenizer->Encode("aaa"), ElementsAre(aa, 'a'));
  EXPECT_THAT(tokenizer->Encode("aab"), ElementsAre('a', ab));
}

TEST(ByteLevel, MergesInsideWordsOnly) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  fixture.AddMerge("a", "Ġ");  // the space goes to the next word, so this never applies
  const TokenId space_b = fixture.AddMerge("Ġ", "b");
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("a b"), ElementsAre('a', space_b));
  EXPECT_EQ(tokenizer->Piece(space_b), " b");
}

TEST(ByteLevel, EveryTextComesBackEvenIfItIsNoUtf8) {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-v3", "gpt-4o",
                          "deepseek-llm", "default"}) {
    VocabularyFixture fixture = VocabularyFixture::ByteLevel(pre);
    fixture.AddMerge("Ã", "©");
    fixture.AddMerge("Ġ", "a");
    const auto tokenizer = fixture.Load();
    ASSERT_TRUE(tokenizer) << tokenizer.error().ToString();
    RandomText random(7);
    for (int i = 0; i < 100; ++i) {
      for (const std::string& text : {random.Unicode(60), random.Bytes(60),
                                      random.Unicode(9) + random.Bytes(2) + random.Unicode(9)}) {
        ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text) << pre;
      }
    }
  }
}

TEST(ByteLevel, AWordOfAMegabyteIsMergedInReasonableTime) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  std::string a = "a";
  TokenId longest = 0;
  for (int i = 0; i < 10; ++i, a += a) longest = fixture.AddMerge(a, a);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  const std::vector<TokenId> tokens = tokenizer->Encode(std::string(1 << 20, 'a'));
  EXPECT_EQ(tokens, std::vector<TokenId>(1 << 10, longest));
}

TEST(ByteLevel, RepeatedWordsGiveTheSameTokensAsTheFirst) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  const TokenId cat = (fixture.AddMerge("c", "a"), fixture.AddMerge("ca", "t"));
  const TokenId space_cat = (fixture.AddMerge("Ġ", "cat"));
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  std::string text = "cat";
  std::vector<TokenId> expected = {cat};
  for (int i = 0; i < 1000; ++i) {
    text += " cat";
    expected.push_back(space_cat);
  }
  EXPECT_EQ(tokenizer->Encode(text), expected);
}

TEST(ByteLevel, TakesWholeWordsWithoutMergesWhereTheModelDoes) {
  for (const auto& [pre, whole] : {std::pair("llama-bpe", true), std::pair("gpt-2", false)}) {
    VocabularyFixture fixture = VocabularyFixture::ByteLevel(pre);
    const TokenId word = fixture.Add("xyz");
    const auto tokenizer = fixture.Load();
    ASSERT_TRUE(tokenizer);
    if (whole) {
      EXPECT_THAT(tokenizer->Encode("xyz"), ElementsAre(word));
    } else {
      EXPECT_THAT(tokenizer->Encode("xyz"), ElementsAre('x', 'y', 'z'));
    }
  }
}

TEST(ByteLevel, LeavesOutBytesWithoutAToken) {
  VocabularyFixture fixture("gpt2");
  fixture.Set("tokenizer.ggml.pre", std::string("gpt-2"));
  fixture.Add("a");
  fixture.AddMerge("a", "a");
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("aba"), ElementsAre(0, 0));
}

TEST(ByteLevel, AddsBosWhereFileOrPreTokenizerSaySo) {
  struct Case {
    const char* pre;
    std::optional<bool> flag;
    bool added;
  };
  for (const Case& c : {Case{"gpt-2", std::nullopt, false}, Case{"gpt-2", true, true},
                        Case{"llama-bpe", std::nullopt, true}, Case{"llama-bpe", false, false}}) {
    VocabularyFixture fixture = VocabularyFixture::ByteLevel(c.pre);
    const TokenId bos = fixture.Add("<s>", kControl);
    fixture.Set("tokenizer.ggml.bos_token_id", std::int64_t{bos});
    if (c.flag) fixture.Set("tokenizer.ggml.add_bos_token", *c.flag);
    const auto tokenizer = fixture.Load();
    ASSERT_TRUE(tokenizer);
    EXPECT_EQ(tokenizer->adds_bos(), c.added) << c.pre;
    EXPECT_EQ(tokenizer->Encode("").size(), c.added ? 1u : 0u);
    EXPECT_THAT(tokenizer->Encode("a", {.add_bos = false}), ElementsAre('a'));
  }
}

TEST(ByteLevel, UserDefinedTokensAreDecodedAsTheyStand) {
  VocabularyFixture fixture = VocabularyFixture::ByteLevel("gpt-2");
  const TokenId id = fixture.Add("õ is text", kUserDefined);
  const auto tokenizer = fixture.Load();
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->Encode("õ is text"), ElementsAre(id));
  EXPECT_EQ(tokenizer->Piece(id), "õ is text");
}

TEST(ByteLevel, UnknownPreTokenizersAreNamed) {
  const auto tokenizer = VocabularyFixture::ByteLevel("no-such-thing").Load();
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(tokenizer.error().message, HasSubstr("no-such-thing"));
}

TEST(ByteLevel, OtherKindsOfTokenizerAreNamed) {
  for (const char* kind : {"bert", "t5", "rwkv", "something\nnew"}) {
    VocabularyFixture fixture(kind);
    fixture.Add("a");
    const auto tokenizer = fixture.Load();
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(tokenizer.error().message, HasSubstr(std::string(kind).substr(0, 4)));
    EXPECT_EQ(tokenizer.error().message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace ondine::text
