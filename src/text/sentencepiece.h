// SentencePiece-style encoding (tokenizer.ggml.model = llama): the pair of neighbours whose
// concatenation has the best score is merged first, spaces are U+2581, and characters without a
// token become byte tokens.
#ifndef ONDINE_SRC_TEXT_SENTENCEPIECE_H_
#define ONDINE_SRC_TEXT_SENTENCEPIECE_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "ondine/result.h"
#include "text/vocabulary.h"
#include "text/word_merger.h"

namespace ondine::text {

// The text of a token with its U+2581 turned into spaces.
std::string UnescapeSpaces(std::string_view text);

class SentencePieceModel {
 public:
  static Result<SentencePieceModel> FromGguf(const formats::GgufFile& file,
                                             const Vocabulary& vocabulary);

  // Appends the tokens of a text that stands at the beginning or between special tokens.
  // `continues`: other text of the same fragment stands before, so that no space is put first.
  void Encode(std::string_view text, bool continues, const Vocabulary& vocabulary,
              EncodeState& state) const;

  bool adds_space_prefix() const { return adds_space_prefix_; }
  // The byte of a token such as <0x0A>.
  static std::optional<char> Byte(std::string_view token_text);

 private:
  std::string EscapeSpaces(std::string_view text, bool add_prefix) const;
  // Length of the part of `text` that can be encoded on its own: no token reaches across its end.
  std::size_t WordLength(std::string_view text) const;

  bool adds_space_prefix_ = true;
  std::array<TokenId, 256> byte_tokens_{};  // -1: none, not even an unknown token
  // Whether some token has a space behind a character that ends in this byte.
  std::array<bool, 256> joins_space_{};
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_SENTENCEPIECE_H_
