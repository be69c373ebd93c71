#include "engine/token_stream.h"

#include <string_view>

#include "base/try.h"

namespace ondine::engine {
namespace {

constexpr std::size_t kLongestPiece = 256 * 1024;

bool IsSpace(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Before the last white space that follows such a character. 0: nowhere.
template <typename Follows>
std::size_t LastSpace(std::string_view text, Follows follows) {
  for (std::size_t i = text.size(); i-- > 1;) {
    if (IsSpace(text[i]) && follows(text[i - 1])) return i;
  }
  return 0;
}

// Where `text` may be cut: before the last white space that follows a letter. Letters, because
// after punctuation some tokenizers take a line break into the same token. 0: nowhere.
std::size_t LastCut(std::string_view text) {
  if (const std::size_t cut = LastSpace(text, IsLetter); cut > 0) return cut;
  if (text.size() < kLongestPiece) return 0;
  if (const std::size_t cut = LastSpace(text, [](char c) { return !IsSpace(c); }); cut > 0) {
    return cut;
  }
  std::size_t cut = text.size();
  while (cut > 0 && (static_cast<unsigned char>(text[cut - 1]) & 0xC0) == 0x80) --cut;
  return cut > 1 ? cut - 1 : text.size();
}

}  // namespace

Result<std::vector<TokenId>> TokenStream::Next() {
  while (true) {
    std::size_t cut = rest_.size();
    if (!at_end_) {
      ONDINE_ASSIGN(const std::string piece, source_.Next());
      bytes_ += piece.size();
      at_end_ = piece.empty();
      rest_ += piece;
      cut = at_end_ ? rest_.size() : LastCut(rest_);
      if (cut == 0 && !at_end_) continue;
    }
    if (cut == 0) return std::vector<TokenId>();
    text::EncodeOptions options;
    options.add_bos = false;
    options.continues = !first_;
    const std::string_view whole = rest_;
    std::vector<TokenId> tokens = tokenizer_.Encode(whole.substr(0, cut), options);
    first_ = false;
    rest_.erase(0, cut);
    // Bytes that the vocabulary does not know may give none at all: that is not the end.
    if (!tokens.empty()) return tokens;
  }
}

}  // namespace ondine::engine
