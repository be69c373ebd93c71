// Small vocabularies that tests make up, written as GGUF files and read back as tokenizers.
#ifndef ONDINE_TESTS_TEXT_VOCABULARY_FIXTURE_H_
#define ONDINE_TESTS_TEXT_VOCABULARY_FIXTURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/temp_dir.h"
#include "formats/gguf.h"
#include "text/tokenizer.h"

namespace ondine::testing {

// Token types as numbered in GGUF files.
inline constexpr std::int64_t kNormal = 1;
inline constexpr std::int64_t kUnknown = 2;
inline constexpr std::int64_t kControl = 3;
inline constexpr std::int64_t kUserDefined = 4;
inline constexpr std::int64_t kByte = 6;

class VocabularyFixture {
 public:
  explicit VocabularyFixture(std::string model) { Set("tokenizer.ggml.model", std::move(model)); }

  // Byte-level BPE with a token for every byte: the id of a byte is its value.
  static VocabularyFixture ByteLevel(std::string pre) {
    VocabularyFixture fixture("gpt2");
    fixture.Set("tokenizer.ggml.pre", std::move(pre));
    for (int byte = 0; byte < 256; ++byte) fixture.Add(ByteCharacter(byte));
    return fixture;
  }
  // SentencePiece: <unk>, <s>, </s>, then a token for every byte, so that byte b has the id 3 + b.
  static VocabularyFixture SentencePiece() {
    VocabularyFixture fixture("llama");
    fixture.Add("<unk>", kUnknown);
    fixture.Add("<s>", kControl);
    fixture.Add("</s>", kControl);
    for (int byte = 0; byte < 256; ++byte) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      fixture.Add(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", kByte);
    }
    return fixture;
  }

  // Returns the id.
  text::TokenId Add(std::string text, std::int64_t type = kNormal, float score = 0) {
    tokens_.push_back(std::move(text));
    types_.push_back(type);
    scores_.push_back(score);
    return static_cast<text::TokenId>(tokens_.size() - 1);
  }
  // Adds the merge of two tokens, and the token that comes of it.
  text::TokenId AddMerge(const std::string& left, const std::string& right) {
    merges_.push_back(left + " " + right);
    return Add(left + right);
  }
  void AddRawMerge(std::string merge) { merges_.push_back(std::move(merge)); }
  void Set(std::string key, formats::GgufValue value) { writer_.Set(std::move(key), value); }
  std::vector<float>& scores() { return scores_; }
  std::vector<std::int64_t>& types() { return types_; }

  Result<text::Tokenizer> Load() const {
    formats::GgufWriter writer = writer_;
    writer.Set("tokenizer.ggml.tokens", tokens_);
    writer.Set("tokenizer.ggml.token_type", types_);
    writer.Set("tokenizer.ggml.scores", scores_);
    writer.Set("tokenizer.ggml.merges", merges_);
    const TempDir folder;
    const std::string path = folder.File("vocabulary.gguf");
    if (const Status written = writer.Write(path); !written) {
      return tl::make_unexpected(written.error());
    }
    const auto file = formats::GgufFile::Open(path);
    if (!file) return tl::make_unexpected(file.error());
    return text::Tokenizer::FromGguf(*file);
  }

 private:
  // GPT-2's character for a byte.
  static std::string ByteCharacter(int byte) {
    const auto printable = [](int b) {
      return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    };
    int code_point = byte;
    if (!printable(byte)) {
      code_point = 256;
      for (int other = 0; other < byte; ++other) code_point += printable(other) ? 0 : 1;
    }
    if (code_point < 128) return std::string(1, static_cast<char>(code_point));
    return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 63))};
  }

  formats::GgufWriter writer_;
  std::vector<std::string> tokens_;
  std::vector<std::int64_t> types_;
  std::vector<float> scores_;
  std::vector<std::string> merges_;
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TEXT_VOCABULARY_FIXTURE_H_
