// CLIP's tokenizer: byte pair encoding inside words, whose last piece is marked "</w>", after the
// text was put in normal form (text/normal_form.h).
// Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, 2021.
#ifndef ONDINE_SRC_TEXT_CLIP_TOKENIZER_H_
#define ONDINE_SRC_TEXT_CLIP_TOKENIZER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/gguf.h"
#include "ondine/result.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace ondine::text {

// The tokens are, in this order: 256 bytes, the same ending a word, what each merge makes, start,
// end. So the merges say everything.
struct ClipVocabulary {
  std::vector<std::string> merges;  // "left right", bytes written as characters
  std::vector<std::string> tokens;

  // From a text of one merge a line, best first, such as CLIP's bpe_simple_vocab_16e6.txt: a first
  // line that begins with '#' or '"' is skipped, and lines after `tokens` - 514 merges are too.
  // kCorrupt (with the line) where one is no merge of tokens that are there, kInvalidArgument where
  // there are too few.
  static Result<ClipVocabulary> FromMerges(std::string_view text, std::int32_t tokens,
                                           const std::string& path);
  // From tokenizer.ggml.tokens and .merges. Files without merges (clip.cpp's) are completed: the
  // order of the tokens tells them. Errors: kNotFound (no vocabulary), kCorrupt.
  static Result<ClipVocabulary> FromGguf(const formats::GgufFile& file);
  void Write(formats::GgufWriter& writer) const;  // as FromGguf() reads it
};

// Immutable; may be shared between threads.
class ClipTokenizer {
 public:
  struct Token {
    TokenId id;
    std::size_t begin, end;  // the bytes of the text that it stands for
    bool ends_word;
  };

  // kCorrupt where the parts of a merge are no tokens.
  static Result<ClipTokenizer> Create(const ClipVocabulary& vocabulary);
  // Errors: those of ClipVocabulary::FromGguf() and Create().
  static Result<ClipTokenizer> FromGguf(const formats::GgufFile& file);

  // Without start and end. Never fails on text.
  std::vector<Token> Encode(std::string_view text) const;

  TokenId start() const { return start_; }
  TokenId end() const { return start_ + 1; }
  std::int32_t size() const { return start_ + 2; }

 private:
  struct Merge {
    std::uint32_t rank;
    TokenId id;
  };
  explicit ClipTokenizer(PreTokenizer words) : words_(std::move(words)) {}

  PreTokenizer words_;
  std::array<TokenId, 256> bytes_{}, last_bytes_{};
  std::unordered_map<std::uint64_t, Merge> merges_;  // by left id, right id
  TokenId start_ = 0;
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_CLIP_TOKENIZER_H_
