// The 46 test strings that the field uses, with every vocabulary that is at hand.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace ondine::text {
namespace {

const std::string kFolder = "../shared/data/tokenizers/ggml-vocab/";

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Inputs(const std::string& vocabulary) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string all = ReadAll(vocabulary + ".inp");
  std::vector<std::string> inputs;
  std::size_t begin = 0;
  for (std::size_t end; (end = all.find(separator, begin)) != std::string::npos;) {
    inputs.push_back(all.substr(begin, end - begin));
    begin = end + separator.size();
  }
  return inputs;
}

std::vector<std::vector<TokenId>> Outputs(const std::string& vocabulary) {
  std::istringstream lines(ReadAll(vocabulary + ".out"));
  std::vector<std::vector<TokenId>> outputs;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream ids(line);
    outputs.emplace_back(std::istream_iterator<TokenId>(ids), std::istream_iterator<TokenId>());
  }
  return outputs;
}

class Vectors : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = kFolder + "ggml-vocab-" + GetParam() + ".gguf";
    if (!std::filesystem::exists(path_ + ".inp")) GTEST_SKIP() << path_ << ".inp not found";
    inputs_ = Inputs(path_);
    outputs_ = Outputs(path_);
    ASSERT_EQ(inputs_.size(), 46u);
    ASSERT_EQ(outputs_.size(), 46u);
  }
  std::string path_;
  std::vector<std::string> inputs_;
  std::vector<std::vector<TokenId>> outputs_;
};

using VectorsWithVocabulary = Vectors;
TEST_P(VectorsWithVocabulary, EveryIdIsRight) {
  const auto file = formats::GgufFile::Open(path_);
  ASSERT_TRUE(file) << file.error().ToString();
  const auto tokenizer = Tokenizer::FromGguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().ToString();
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const std::vector<TokenId> tokens = tokenizer->Encode(inputs_[i], {.add_bos = false});
    EXPECT_EQ(tokens, outputs_[i]) << inputs_[i];
    EXPECT_EQ(tokenizer->Decode(tokens), inputs_[i]);
  }
}
INSTANTIATE_TEST_SUITE_P(All, VectorsWithVocabulary,
                         ::testing::Values("gpt-2", "llama-spm", "phi-3", "falcon",
                                           "deepseek-coder", "starcoder"));

// Of these only the expected ids are here. No token reaches across the end of a word, so a text has
// no more words than tokens; a text that is one token is one word.
using VectorsWithoutVocabulary = Vectors;
TEST_P(VectorsWithoutVocabulary, WordsFitTheNumberOfTokens) {
  const auto pre_tokenizer = PreTokenizer::Create(GetParam());
  ASSERT_TRUE(pre_tokenizer) << pre_tokenizer.error().ToString();
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const std::size_t words = pre_tokenizer->Split(inputs_[i]).size();
    EXPECT_LE(words, outputs_[i].size()) << inputs_[i];
    EXPECT_EQ(words == 0, outputs_[i].empty());
  }
}
INSTANTIATE_TEST_SUITE_P(All, VectorsWithoutVocabulary,
                         ::testing::Values("llama-bpe", "qwen2", "deepseek-r1-qwen", "deepseek-llm",
                                           "command-r", "chameleon", "mpt", "refact",
                                           "roberta-bpe"));

TEST(Vectors, BertIsRefusedByName) {
  const std::string path = kFolder + "ggml-vocab-bert-bge.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " not found";
  const auto file = formats::GgufFile::Open(path);
  ASSERT_TRUE(file);
  const auto tokenizer = Tokenizer::FromGguf(*file);
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(tokenizer.error().message.find("bert"), std::string::npos);
}

}  // namespace
}  // namespace ondine::text
