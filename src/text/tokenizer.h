// Text to tokens and back, as the model's GGUF file describes it.
#ifndef ONDINE_SRC_TEXT_TOKENIZER_H_
#define ONDINE_SRC_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::text {

using TokenId = std::int32_t;

struct EncodeOptions {
  bool add_bos = true;         // put the BOS token first where the model's file asks for one
  bool parse_special = false;  // text such as "<|im_end|>" becomes its control token
  bool continues = false;      // the text follows other text: no space is put before its first word
};

// Immutable after loading; may be shared between threads.
class Tokenizer {
 public:
  // Reads tokenizer.ggml.* of the file. Errors: kNotFound (no vocabulary), kCorrupt, kUnsupported
  // (a model or pre-tokenizer that is not known, by name).
  static Result<Tokenizer> FromGguf(const formats::GgufFile& file);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Never fails on text: bytes that are not UTF-8 become the tokens of these bytes. A byte without
  // a token becomes the unknown token in SentencePiece vocabularies and is left out in byte-level
  // BPE. User-defined tokens are found in the text whatever the options say.
  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The bytes a token stands for, "" for an id outside the vocabulary; control and unknown tokens
  // give "" unless `special` is set. The space that SentencePiece puts in front of a text is not
  // removed here, but by Decode.
  std::string Piece(TokenId token, bool special = false) const;
  std::string Decode(const std::vector<TokenId>& tokens, bool special = false) const;

  std::int32_t size() const;
  std::optional<TokenId> bos() const;
  bool adds_bos() const;
  // True for every token that ends a turn or text (EOS, EOT, <|im_end|>, <end_of_turn>, ...).
  bool EndsGeneration(TokenId token) const;

  class Impl;

 private:
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_TOKENIZER_H_
