// Tokens of a text that comes in pieces are those of the whole text.
#include "engine/token_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "base/temp_dir.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"
#include "formats/gguf.h"

namespace ondine::engine {
namespace {

namespace fs = std::filesystem;

// Gives out a text in pieces of random length, cut at any byte: harder than files are.
class RandomPieces : public TextSource {
 public:
  RandomPieces(std::string text, std::size_t longest, std::uint32_t seed)
      : text_(std::move(text)), longest_(longest), random_(seed) {}
  Result<std::string> Next() override {
    const std::size_t n = std::min(text_.size() - done_, 1 + random_() % longest_);
    done_ += n;
    return text_.substr(done_ - n, n);
  }

 private:
  std::string text_;
  std::size_t longest_, done_ = 0;
  std::mt19937 random_;
};

std::vector<TokenId> InPieces(const text::Tokenizer& tokenizer, const std::string& text,
                              std::size_t longest) {
  RandomPieces source(text, longest, 5);
  TokenStream stream(source, tokenizer);
  std::vector<TokenId> tokens;
  while (true) {
    const auto piece = stream.Next();
    EXPECT_TRUE(piece);
    if (!piece || piece->empty()) break;
    tokens.insert(tokens.end(), piece->begin(), piece->end());
  }
  EXPECT_EQ(stream.bytes(), text.size());
  return tokens;
}

std::vector<TokenId> AtOnce(const text::Tokenizer& tokenizer, const std::string& text) {
  text::EncodeOptions options;
  options.add_bos = false;
  return tokenizer.Encode(text, options);
}

const text::Tokenizer& Bytes() {
  return testing::TinyLlamaModel()->parts().tokenizer;
}

TEST(TokenStream, GivesEveryByteOfATextOnce) {
  for (const std::size_t length : {0, 1, 50, 100000}) {
    const std::string text = testing::RandomProse(length);
    EXPECT_EQ(InPieces(Bytes(), text, 5000), AtOnce(Bytes(), text));
  }
}

TEST(TokenStream, EndsWithATextWithoutWhiteSpace) {
  const std::string text(600000, 'z');
  EXPECT_EQ(InPieces(Bytes(), text, 100000).size(), text.size());
}

TEST(TokenStream, CutsALongWordBetweenCharacters) {
  std::string text;
  while (text.size() < 600000) text += "\xE2\x82\xAC";
  const std::vector<TokenId> tokens = InPieces(Bytes(), text, 100000);
  EXPECT_EQ(Bytes().Decode(tokens), text);
}

// No letter from a to z stands before any white space: held back up to the limit, but no word is
// cut there.
TEST(TokenStream, CutsTextsOfOtherScriptsAtWhiteSpace) {
  for (const std::string line :
       {"\u041F\u0440\u0438\u0432\u0435\u0442, \u043C\u0438\u0440 ", "3.1415 2.7183\n"}) {
    std::string text;
    while (text.size() < 700000) text += line;
    RandomPieces source(text, 100000, 5);
    TokenStream stream(source, Bytes());
    std::string whole;
    int pieces = 0;
    while (true) {
      const auto tokens = stream.Next();
      ASSERT_TRUE(tokens);
      if (tokens->empty()) break;
      const std::string piece = Bytes().Decode(*tokens);
      if (++pieces > 1) {
        EXPECT_TRUE(piece.front() == ' ' || piece.front() == '\n') << piece.front();
      }
      whole += piece;
    }
    EXPECT_GT(pieces, 2);
    EXPECT_EQ(whole, text);
  }
}

TEST(TokenStream, PassesErrorsOn) {
  const testing::TempDir folder;
  std::ofstream(folder.File("bad")) << "good words \xFF";
  const auto source = OpenTextFiles({folder.File("bad")});
  ASSERT_TRUE(source);
  TokenStream stream(**source, Bytes());
  auto piece = stream.Next();
  while (piece && !piece->empty()) piece = stream.Next();
  EXPECT_FALSE(piece);
}

// A vocabulary of the letter "a" alone: everything else has no token.
TEST(TokenStream, GoesOnBehindTextThatHasNoTokens) {
  const testing::TempDir folder;
  formats::GgufWriter writer;
  writer.Set("general.architecture", std::string("llama"));
  writer.Set("tokenizer.ggml.model", std::string("gpt2"));
  writer.Set("tokenizer.ggml.pre", std::string("gpt-2"));
  writer.Set("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  writer.Set("tokenizer.ggml.token_type", std::vector<std::int64_t>{1});
  writer.Set("tokenizer.ggml.merges", std::vector<std::string>());
  ASSERT_TRUE(writer.Write(folder.File("a.gguf")));
  const auto file = formats::GgufFile::Open(folder.File("a.gguf"));
  ASSERT_TRUE(file);
  const auto tokenizer = text::Tokenizer::FromGguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().ToString();
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "bcd ";
  text += "a";
  EXPECT_EQ(InPieces(*tokenizer, text, 100).size(), 1u);
}

std::string ReadText(const fs::path& path, std::size_t most) {
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (text.size() > most) {
    text.resize(most);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) {
      text.pop_back();
    }
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
  }
  return text;
}

// Some of everything there is: prose, wiki text, code, other languages.
std::vector<fs::path> RealTexts() {
  std::vector<fs::path> texts;
  std::error_code error;
  for (const char* folder : {"../shared/data/lm", "../shared/data/longctx/novels",
                             "../shared/data/longctx/PaulGrahamEssays"}) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
      const std::string extension = entry.path().extension().string();
      if (entry.is_regular_file() && (extension == ".txt" || extension == ".raw")) {
        found.push_back(entry.path());
      }
    }
    std::sort(found.begin(), found.end());
    if (found.size() > 3) found.resize(3);
    texts.insert(texts.end(), found.begin(), found.end());
  }
  return texts;
}

class RealVocabularies : public ::testing::TestWithParam<const char*> {};

TEST_P(RealVocabularies, GiveTheTokensOfTheWholeText) {
  const std::string path = GetParam();
  if (!fs::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto texts = RealTexts();
  if (texts.empty()) GTEST_SKIP() << "../shared/data is absent";
  const auto file = formats::GgufFile::Open(path);
  ASSERT_TRUE(file) << file.error().ToString();
  const auto tokenizer = text::Tokenizer::FromGguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().ToString();
  for (const fs::path& each : texts) {
    const std::string text = ReadText(each, 300000);
    const std::vector<TokenId> whole = AtOnce(*tokenizer, text);
    for (const std::size_t longest : {700, 65536}) {
      EXPECT_TRUE(InPieces(*tokenizer, text, longest) == whole)
          << each << " in pieces of up to " << longest;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Files, RealVocabularies,
    ::testing::Values("build/models/SmolLM2-135M-Instruct.Q4_1.gguf",
                      "build/models/gemma-3-270m-q4_k_m.gguf",
                      "../shared/data/tokenizers/ggml-vocab/ggml-vocab-gpt-2.gguf",
                      "../shared/data/tokenizers/ggml-vocab/ggml-vocab-deepseek-coder.gguf",
                      "../shared/data/tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf",
                      "../shared/data/tokenizers/ggml-vocab/ggml-vocab-falcon.gguf"));

}  // namespace
}  // namespace ondine::engine
