#include "text/sentencepiece.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/try.h"
#include "base/utf8.h"

namespace ondine::text {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

std::size_t Index(char c) {
  return static_cast<unsigned char>(c);
}

// Only these can come out of plain text; control tokens need EncodeOptions::parse_special.
std::optional<TokenId> FindMergeable(const Vocabulary& vocabulary, std::string_view text) {
  const auto id = vocabulary.Find(text);
  if (!id) return std::nullopt;
  switch (vocabulary.Type(*id)) {
    case TokenType::kNormal:
    case TokenType::kUserDefined:
    case TokenType::kUnused: return id;
    default: return std::nullopt;
  }
}

// Orders as the scores do, best first.
std::uint32_t Rank(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // + 0.0f: -0 equals 0
  const std::uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return ~ascending;
}

// The number of a hexadecimal digit; -1 for another character.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string UnescapeSpaces(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t found = text.find(kSpace);
    out += text.substr(0, found);
    if (found == std::string_view::npos) break;
    out += ' ';
    text.remove_prefix(found + kSpace.size());
  }
  return out;
}

std::optional<char> SentencePieceModel::Byte(std::string_view token_text) {
  if (token_text.size() != 6 || !token_text.starts_with("<0x") || token_text[5] != '>') {
    return std::nullopt;
  }
  const int high = HexDigit(token_text[3]);
  const int low = HexDigit(token_text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

Result<SentencePieceModel> SentencePieceModel::FromGguf(const formats::GgufFile& file,
                                                        const Vocabulary& vocabulary) {
  SentencePieceModel model;
  ONDINE_ASSIGN(const std::optional<bool> prefix, file.FindBool("tokenizer.ggml.add_space_prefix"));
  model.adds_space_prefix_ = prefix.value_or(true);
  model.byte_tokens_.fill(vocabulary.unknown().value_or(-1));
  for (std::size_t byte = 0; byte < 256; ++byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    const char text[] = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
    const char raw = static_cast<char>(byte);
    auto id = vocabulary.Find({text, sizeof(text)});
    if (!id) id = FindMergeable(vocabulary, {&raw, 1});
    if (id) model.byte_tokens_[byte] = *id;
  }
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.Text(id);
    for (std::size_t at = text.find(kSpace, 1); at < text.size(); at = text.find(kSpace, at + 1)) {
      if (!text.substr(0, at).ends_with(kSpace)) model.joins_space_[Index(text[at - 1])] = true;
    }
  }
  return model;
}

std::string SentencePieceModel::EscapeSpaces(std::string_view text, bool add_prefix) const {
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 2);
  if (add_prefix) escaped += kSpace;
  for (const char c : text) {
    if (c == ' ') {
      escaped += kSpace;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::size_t SentencePieceModel::WordLength(std::string_view text) const {
  for (std::size_t at = text.find(kSpace, 1); at < text.size(); at = text.find(kSpace, at + 1)) {
    if (!text.substr(0, at).ends_with(kSpace) && !joins_space_[Index(text[at - 1])]) return at;
  }
  return text.size();
}

void SentencePieceModel::Encode(std::string_view text, bool continues, const Vocabulary& vocabulary,
                                EncodeState& state) const {
  const std::string& escaped =
      state.kept.emplace_back(EscapeSpaces(text, adds_space_prefix_ && !continues));
  std::vector<TokenId>& out = state.tokens;
  WordMerger& merger = state.merger;
  const auto encode_word = [&](std::string_view word) {
    const auto find_merge =
        [&](const WordMerger::Piece& left,
            const WordMerger::Piece& right) -> std::optional<WordMerger::Merge> {
      const auto id = FindMergeable(vocabulary, word.substr(left.begin, left.size + right.size));
      if (!id) return std::nullopt;
      return WordMerger::Merge{Rank(vocabulary.Score(*id)), *id};
    };
    merger.Clear();
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t length = std::max<std::size_t>(base::CharacterLength(word.substr(i)), 1);
      merger.Append(static_cast<std::uint32_t>(length),
                    FindMergeable(vocabulary, word.substr(i, length)).value_or(-1));
      i += length;
    }
    merger.Run(find_merge);
    merger.ForEach([&](const WordMerger::Piece& piece) {
      if (piece.id >= 0) {
        out.push_back(piece.id);
        return;
      }
      for (const char c : word.substr(piece.begin, piece.size)) {
        if (byte_tokens_[Index(c)] >= 0) out.push_back(byte_tokens_[Index(c)]);
      }
    });
  };
  for (std::string_view rest = escaped; !rest.empty();) {
    const std::size_t length = std::min(WordLength(rest), kMaxWordBytes);
    state.cache.Append(rest.substr(0, length), out, encode_word);
    rest.remove_prefix(length);
  }
}

}  // namespace ondine::text
