#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/try.h"
#include "base/utf8.h"

namespace ondine::text {
namespace {

// GPT-2's table: printable characters of Latin-1 stand for themselves, the other 68 bytes, in their
// order, for U+0100 and what follows.
struct ByteCharacters {
  std::array<std::uint32_t, 256> character{};
  std::array<int, 0x100 + 68> byte{};  // by code point; -1: none

  constexpr ByteCharacters() {
    for (int& value : byte) value = -1;
    std::uint32_t next = 0x100;
    for (std::uint32_t value = 0; value < 256; ++value) {
      const bool printable = (value >= 0x21 && value <= 0x7E) || (value >= 0xA1 && value != 0xAD);
      character[value] = printable ? value : next++;
      byte[character[value]] = static_cast<int>(value);
    }
  }
};
constexpr ByteCharacters kByteCharacters;

// Spreads pairs over the table; the multiplier is 2^64 divided by the golden ratio.
std::size_t Spread(std::uint64_t pair) {
  const std::uint64_t product = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u;
  return product ^ product >> 32;
}

}  // namespace

std::string BytesToCharacters(std::string_view bytes) {
  std::string characters;
  for (const char c : bytes) {
    base::AppendUtf8(kByteCharacters.character[static_cast<unsigned char>(c)], characters);
  }
  return characters;
}

std::string CharactersToBytes(std::string_view characters) {
  std::string bytes;
  while (!characters.empty()) {
    const std::size_t length = std::max<std::size_t>(base::CharacterLength(characters), 1);
    const std::uint32_t code_point = base::CodePoint(characters.substr(0, length));
    const bool known = code_point < kByteCharacters.byte.size() &&
                       kByteCharacters.byte[code_point] >= 0 &&
                       base::CharacterLength(characters) > 0;
    if (known) {
      bytes.push_back(static_cast<char>(kByteCharacters.byte[code_point]));
    } else {
      bytes += characters.substr(0, length);
    }
    characters.remove_prefix(length);
  }
  return bytes;
}

Result<BpeModel> BpeModel::FromGguf(const formats::GgufFile& file, const Vocabulary& vocabulary) {
  ONDINE_ASSIGN(const std::optional<std::string> name, file.FindString("tokenizer.ggml.pre"));
  ONDINE_ASSIGN(PreTokenizer pre_tokenizer, PreTokenizer::Create(name.value_or("")));
  ONDINE_ASSIGN(const std::vector<std::string>* merges, file.FindStrings("tokenizer.ggml.merges"));
  if (merges == nullptr || merges->size() >= std::numeric_limits<std::uint32_t>::max() / 2) {
    return MakeError(ErrorCode::kNotFound, "byte-level BPE without tokenizer.ggml.merges",
                     file.path());
  }

  BpeModel model(std::move(pre_tokenizer));
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    model.byte_tokens_[byte] = vocabulary.Find(BytesToCharacters({&c, 1})).value_or(-1);
  }
  model.merges_.assign(std::bit_ceil(merges->size() * 2 + 1), MergeSlot{});
  for (std::size_t rank = 0; rank < merges->size(); ++rank) {
    const std::string_view merge = (*merges)[rank];
    // "left right"; the left part may itself be a space in vocabularies of raw text.
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) continue;
    const std::string_view left_text = merge.substr(0, space);
    const std::string_view right_text = merge.substr(space + 1);
    const auto left = vocabulary.Find(left_text);
    const auto right = vocabulary.Find(right_text);
    const auto merged = vocabulary.Find(std::string(left_text).append(right_text));
    // Vocabularies that were cut down keep merges of tokens that are gone: they can never apply.
    if (!left || !right || !merged || right_text.empty()) continue;
    model.AddMerge(*left, *right, {static_cast<std::uint32_t>(rank), *merged});
  }
  return model;
}

void BpeModel::AddMerge(TokenId left, TokenId right, WordMerger::Merge merge) {
  const std::uint64_t pair = Pair(left, right);
  const std::size_t mask = merges_.size() - 1;
  std::size_t i = Spread(pair) & mask;
  while (merges_[i].pair != kNoPair && merges_[i].pair != pair) i = (i + 1) & mask;
  if (merges_[i].pair == kNoPair) merges_[i] = {pair, merge};
}

std::optional<WordMerger::Merge> BpeModel::FindMerge(TokenId left, TokenId right) const {
  const std::uint64_t pair = Pair(left, right);
  const std::size_t mask = merges_.size() - 1;
  for (std::size_t i = Spread(pair) & mask; merges_[i].pair != kNoPair; i = (i + 1) & mask) {
    if (merges_[i].pair == pair) return merges_[i].merge;
  }
  return std::nullopt;
}

void BpeModel::Encode(std::string_view text, const Vocabulary& vocabulary,
                      EncodeState& state) const {
  std::vector<TokenId>& out = state.tokens;
  WordMerger& merger = state.merger;
  const auto find_merge = [this](const WordMerger::Piece& left, const WordMerger::Piece& right) {
    return left.id < 0 || right.id < 0 ? std::nullopt : FindMerge(left.id, right.id);
  };
  const auto encode_word = [&](std::string_view word) {
    if (pre_tokenizer_.ignores_merges()) {
      if (const auto whole = vocabulary.Find(BytesToCharacters(word))) {
        out.push_back(*whole);
        return;
      }
    }
    merger.Clear();
    for (const char c : word) merger.Append(1, byte_tokens_[static_cast<unsigned char>(c)]);
    merger.Run(find_merge);
    merger.ForEach([&out](const WordMerger::Piece& piece) {
      if (piece.id >= 0) out.push_back(piece.id);
    });
  };
  std::size_t begin = 0;
  for (const std::size_t end : pre_tokenizer_.Split(text)) {
    for (; begin < end; begin = std::min(end, begin + kMaxWordBytes)) {
      state.cache.Append(text.substr(begin, std::min(end - begin, kMaxWordBytes)), out,
                         encode_word);
    }
  }
}

}  // namespace ondine::text
