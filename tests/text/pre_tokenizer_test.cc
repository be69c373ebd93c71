#include "text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/random_text.h"

namespace ondine::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Words(const std::string& name, const std::string& text) {
  const auto pre_tokenizer = PreTokenizer::Create(name);
  if (!pre_tokenizer) {
    ADD_FAILURE() << pre_tokenizer.error().ToString();
    return {};
  }
  std::vector<std::string> words;
  std::size_t begin = 0;
  for (const std::size_t end : pre_tokenizer->Split(text)) {
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

// Expected words were checked with Python's `regex` module and the patterns of the models'
// tokenizer.json files, applied one after the other.
TEST(PreTokenizer, Gpt2KeepsTheSpaceBeforeAWordAndRunsOfDigits) {
  EXPECT_THAT(Words("gpt-2", "I'm   here, 1234 é!\n\n x"),
              ElementsAre("I", "'m", "  ", " here", ",", " 1234", " é", "!", "\n\n", " x"));
  EXPECT_THAT(Words("gpt-2", "IT'S it's"), ElementsAre("IT", "'", "S", " it", "'s"));
}

TEST(PreTokenizer, DigitsAreCutAsTheModelsDo) {
  EXPECT_THAT(Words("smollm", "a1234 56"), ElementsAre("a", "1", "2", "3", "4", " ", "5", "6"));
  EXPECT_THAT(Words("llama-bpe", "a1234 56"), ElementsAre("a", "123", "4", " ", "56"));
  EXPECT_THAT(Words("qwen2", "a12"), ElementsAre("a", "1", "2"));
  EXPECT_THAT(Words("deepseek-v3", "1234a"), ElementsAre("123", "4", "a"));
  EXPECT_THAT(Words("falcon", "12345"), ElementsAre("123", "45"));
  EXPECT_THAT(Words("deepseek-coder", "12 x"), ElementsAre("1", "2", " x"));
}

TEST(PreTokenizer, ContractionsIgnoreCaseFromLlama3On) {
  EXPECT_THAT(Words("llama-bpe", "DON'T we'Re"), ElementsAre("DON", "'T", " we", "'Re"));
  EXPECT_THAT(Words("qwen2", "it'S"), ElementsAre("it", "'S"));
  EXPECT_THAT(Words("gpt-4o", "Don't CamelCase"), ElementsAre("Don't", " Camel", "Case"));
  EXPECT_THAT(Words("tekken", "Don't HTTPServer"), ElementsAre("Don", "'t", " HTTPServer"));
}

TEST(PreTokenizer, MarksStayWithTheirLettersInQwen35) {
  EXPECT_THAT(Words("qwen2", "e\u0301a"), ElementsAre("e", "\u0301a"));
  EXPECT_THAT(Words("qwen35", "e\u0301a"), ElementsAre("e\u0301a"));
}

TEST(PreTokenizer, LineBreaksAndPunctuation) {
  EXPECT_THAT(Words("llama-bpe", "x;\n\n  y"), ElementsAre("x", ";\n\n", " ", " y"));
  EXPECT_THAT(Words("deepseek-llm", "a\n\nb c,  "),
              ElementsAre("a", "\n", "\n", "b", " c", ",", "  "));
  EXPECT_THAT(Words("deepseek-v3", "漢字かな .foo"), ElementsAre("漢字かな", " .", "foo"));
}

TEST(PreTokenizer, SpacesAreThoseOfUnicode) {
  EXPECT_THAT(Words("gpt-2", "a\u3000\u3000b"), ElementsAre("a", "\u3000", "\u3000", "b"));
  EXPECT_THAT(Words("gpt-2", "a\u180Eb"), ElementsAre("a", "\u180E", "b"));  // none since 6.3
}

TEST(PreTokenizer, LettersNewerThanTheLibraryAreLetters) {
  EXPECT_THAT(Words("gpt-2", "\U00031350\U0001E4D0x!"), ElementsAre("\U00031350\U0001E4D0x", "!"));
  EXPECT_THAT(Words("gpt-2", "a\U0001E4F0"), ElementsAre("a", "\U0001E4F0"));
}

TEST(PreTokenizer, BrokenBytesAreSymbols) {
  EXPECT_THAT(Words("gpt-2", "a\xFF\xC3 é"), ElementsAre("a", "\xFF\xC3", " é"));
}

TEST(PreTokenizer, EveryKnownNameCoversEveryText) {
  for (const char* name : {"gpt-2",
                           "smollm",
                           "starcoder",
                           "refact",
                           "command-r",
                           "mpt",
                           "llama-bpe",
                           "llama3",
                           "qwen2",
                           "qwen35",
                           "deepseek-r1-qwen",
                           "deepseek-llm",
                           "deepseek-coder",
                           "deepseek-v3",
                           "falcon",
                           "falcon3",
                           "gpt-4o",
                           "llama4",
                           "tekken",
                           "chameleon",
                           "poro-chat",
                           "viking",
                           "dbrx",
                           "smaug-bpe",
                           "glm4",
                           "chatglm-bpe",
                           "stablelm2",
                           "olmo",
                           "jais",
                           "bloom",
                           "exaone",
                           "seed-coder",
                           "bailingmoe",
                           "minicpm5",
                           "phi-2",
                           "roberta-bpe",
                           "default",
                           ""}) {
    const auto pre_tokenizer = PreTokenizer::Create(name);
    ASSERT_TRUE(pre_tokenizer) << name;
    testing::RandomText random(11);
    for (int i = 0; i < 30; ++i) {
      const std::string text = i % 3 == 0 ? random.Bytes(50) : random.Unicode(80);
      std::size_t before = 0;
      for (const std::size_t end : pre_tokenizer->Split(text)) {
        ASSERT_GT(end, before) << name;
        before = end;
      }
      ASSERT_EQ(before, text.size()) << name;
    }
    EXPECT_TRUE(pre_tokenizer->Split("").empty());
  }
}

TEST(PreTokenizer, LongRunsOfOneCharacterAreNoTrouble) {
  for (const char* name : {"gpt-4o", "tekken", "llama-bpe", "deepseek-v3", "deepseek-llm"}) {
    for (const char c : {'A', 'a', ' ', '\n', '1', '!'}) {
      const std::string text(300000, c);
      const auto pre_tokenizer = PreTokenizer::Create(name);
      ASSERT_TRUE(pre_tokenizer);
      EXPECT_EQ(pre_tokenizer->Split(text).back(), text.size());
    }
  }
}

TEST(PreTokenizer, UnknownNamesAreNamed) {
  const auto unknown = PreTokenizer::Create("kimi-k2");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(unknown.error().message, HasSubstr("kimi-k2"));
}

}  // namespace
}  // namespace ondine::text
