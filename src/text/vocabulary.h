// The tokens of a GGUF file: texts, types, scores and the ids with a meaning.
#ifndef ONDINE_SRC_TEXT_VOCABULARY_H_
#define ONDINE_SRC_TEXT_VOCABULARY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "ondine/result.h"
#include "text/tokenizer.h"

namespace ondine::text {

// The numbers are those of tokenizer.ggml.token_type.
enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

class Vocabulary {
 public:
  // Errors: kNotFound (no tokens), kCorrupt (lists of different lengths, ids out of range, scores
  // that are no numbers).
  static Result<Vocabulary> FromGguf(const formats::GgufFile& file);

  std::int32_t size() const { return static_cast<std::int32_t>(texts_.size()); }
  bool Contains(TokenId id) const { return id >= 0 && id < size(); }
  // As in the file: byte-level BPE writes bytes as characters, SentencePiece spaces as U+2581.
  const std::string& Text(TokenId id) const { return texts_[static_cast<std::size_t>(id)]; }
  TokenType Type(TokenId id) const { return types_[static_cast<std::size_t>(id)]; }
  float Score(TokenId id) const {
    return scores_.empty() ? 0 : scores_[static_cast<std::size_t>(id)];
  }
  // The lowest id with exactly this text.
  std::optional<TokenId> Find(std::string_view text) const;

  std::optional<TokenId> bos() const { return bos_; }
  std::optional<TokenId> unknown() const { return unknown_; }
  bool EndsGeneration(TokenId id) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // upper half of the text's hash
    TokenId id = -1;
  };

  void BuildIndex();
  Status ReadTypes(const formats::GgufFile& file);
  Status ReadScores(const formats::GgufFile& file);
  Status ReadSpecialIds(const formats::GgufFile& file);
  void CollectEnds(std::optional<TokenId> end_of_turn, std::optional<TokenId> end_of_message);

  std::vector<std::string> texts_;
  std::vector<TokenType> types_;
  std::vector<float> scores_;  // empty if the file has none
  std::vector<Slot> index_;    // open addressing, a power of two
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
  std::optional<TokenId> unknown_;
  std::vector<TokenId> ends_;  // sorted
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_VOCABULARY_H_
