// Byte-level byte pair encoding (tokenizer.ggml.model = gpt2).
#ifndef ONDINE_SRC_TEXT_BPE_H_
#define ONDINE_SRC_TEXT_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "ondine/result.h"
#include "text/pre_tokenizer.h"
#include "text/vocabulary.h"
#include "text/word_merger.h"

namespace ondine::text {

// Such vocabularies write every byte as one printable character ("Ġ" is the space).
std::string BytesToCharacters(std::string_view bytes);
// The other way round; a character that stands for no byte is kept as it is.
std::string CharactersToBytes(std::string_view characters);

// A key for two tokens that a merge joins.
inline std::uint64_t Pair(TokenId left, TokenId right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

class BpeModel {
 public:
  // Errors: kNotFound (no merges), kUnsupported (the pre-tokenizer).
  static Result<BpeModel> FromGguf(const formats::GgufFile& file, const Vocabulary& vocabulary);

  // Appends the tokens of a text without special tokens. Bytes that the vocabulary has no token for
  // are left out. `text` must outlive `state`.
  void Encode(std::string_view text, const Vocabulary& vocabulary, EncodeState& state) const;
  bool adds_bos() const { return pre_tokenizer_.adds_bos(); }

 private:
  struct MergeSlot {
    std::uint64_t pair = kNoPair;  // left id, right id
    WordMerger::Merge merge{};
  };
  static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

  explicit BpeModel(PreTokenizer pre_tokenizer) : pre_tokenizer_(std::move(pre_tokenizer)) {}
  void AddMerge(TokenId left, TokenId right, WordMerger::Merge merge);
  std::optional<WordMerger::Merge> FindMerge(TokenId left, TokenId right) const;

  PreTokenizer pre_tokenizer_;
  std::array<TokenId, 256> byte_tokens_{};  // -1: none
  std::vector<MergeSlot> merges_;           // open addressing, a power of two
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_BPE_H_
