#include "text/clip_tokenizer.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/quote.h"
#include "base/try.h"
#include "base/utf8.h"
#include "text/bpe.h"
#include "text/normal_form.h"
#include "text/word_merger.h"

namespace ondine::text {
namespace {

constexpr std::string_view kEndOfWord = "</w>";
constexpr std::int32_t kByteTokens = 512;
constexpr std::int32_t kSpecialTokens = 2;

// Bytes in the order in which the vocabulary has them: printable ones first, as GPT-2's table was
// built.
std::vector<unsigned char> BytesInOrder() {
  std::vector<unsigned char> printable, others;
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<unsigned char>(byte);
    const char c = static_cast<char>(value);
    const bool itself = base::CodePoint(BytesToCharacters({&c, 1})) == value;
    (itself ? printable : others).push_back(value);
  }
  printable.insert(printable.end(), others.begin(), others.end());
  return printable;
}

std::vector<std::string> ByteTokens() {
  std::vector<std::string> tokens;
  for (const unsigned char byte : BytesInOrder()) {
    const char c = static_cast<char>(byte);
    tokens.push_back(BytesToCharacters({&c, 1}));
  }
  for (std::size_t i = 0; i < 256; ++i) tokens.push_back(tokens[i] + std::string(kEndOfWord));
  return tokens;
}

using TokenIds = std::unordered_map<std::string, TokenId>;

struct MergeParts {
  TokenId left, right;
};

// Nullopt where it is no merge of tokens that are there.
std::optional<MergeParts> FindParts(std::string_view merge, const TokenIds& ids) {
  const std::size_t space = merge.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto left = ids.find(std::string(merge.substr(0, space)));
  const auto right = ids.find(std::string(merge.substr(space + 1)));
  if (left == ids.end() || right == ids.end()) return std::nullopt;
  return MergeParts{left->second, right->second};
}

// The characters of a token, with its end mark as part of the last one.
std::vector<std::string> Characters(std::string_view token) {
  const bool ends = token.size() > kEndOfWord.size() && token.ends_with(kEndOfWord);
  if (ends) token.remove_suffix(kEndOfWord.size());
  std::vector<std::string> characters;
  for (const char c : token) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
    if (continues && !characters.empty()) {
      characters.back() += c;
    } else {
      characters.emplace_back(1, c);
    }
  }
  if (ends && !characters.empty()) characters.back() += kEndOfWord;
  return characters;
}

// What the merges were: a token's characters, merged by those before it, leave its two parts.
Result<std::vector<std::string>> RecoverMerges(const std::vector<std::string>& tokens,
                                               const std::string& path) {
  std::unordered_map<std::string, std::uint32_t> ranks;
  std::vector<std::string> merges;
  const auto rank = [&](const std::string& left, const std::string& right) {
    const auto found = ranks.find(left + ' ' + right);
    return found == ranks.end() ? std::numeric_limits<std::uint32_t>::max() : found->second;
  };
  for (std::size_t id = kByteTokens; id + kSpecialTokens < tokens.size(); ++id) {
    std::vector<std::string> parts = Characters(tokens[id]);
    while (parts.size() > 2) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
        if (rank(parts[i], parts[i + 1]) < rank(parts[best], parts[best + 1])) best = i;
      }
      if (rank(parts[best], parts[best + 1]) == std::numeric_limits<std::uint32_t>::max()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    if (parts.size() != 2) {
      return MakeError(ErrorCode::kCorrupt,
                       "the tokens are not those of CLIP: " + base::Quote(tokens[id]) +
                           " cannot be merged from the tokens before it",
                       path);
    }
    merges.push_back(parts[0] + ' ' + parts[1]);
    ranks.emplace(merges.back(), static_cast<std::uint32_t>(merges.size() - 1));
  }
  return merges;
}

}  // namespace

Result<ClipVocabulary> ClipVocabulary::FromMerges(std::string_view text, std::int32_t tokens,
                                                  const std::string& path) {
  ClipVocabulary vocabulary;
  vocabulary.tokens = ByteTokens();
  TokenIds ids;
  for (const std::string& token : vocabulary.tokens) {
    ids.emplace(token, static_cast<TokenId>(ids.size()));
  }
  const std::int64_t wanted = std::int64_t{tokens} - kByteTokens - kSpecialTokens;
  for (std::size_t line = 1; !text.empty(); ++line) {
    if (static_cast<std::int64_t>(vocabulary.merges.size()) >= wanted) break;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view merge = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (merge.ends_with('\r')) merge.remove_suffix(1);
    if (merge.empty() || (line == 1 && (merge.starts_with('#') || merge.starts_with('"'))))
      continue;
    if (!FindParts(merge, ids)) {
      return MakeError(ErrorCode::kCorrupt,
                       base::Quote(merge) + " is no merge of two tokens before it",
                       path + ":" + std::to_string(line));
    }
    std::string merged(merge);
    merged.erase(merged.find(' '), 1);
    ids.emplace(merged, static_cast<TokenId>(vocabulary.tokens.size()));
    vocabulary.tokens.push_back(std::move(merged));
    vocabulary.merges.emplace_back(merge);
  }
  if (static_cast<std::int64_t>(vocabulary.merges.size()) < wanted || wanted < 0) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "has " + std::to_string(vocabulary.merges.size()) + " merges, " +
                         std::to_string(tokens) + " tokens need " + std::to_string(wanted),
                     path);
  }
  vocabulary.tokens.emplace_back("<|startoftext|>");
  vocabulary.tokens.emplace_back("<|endoftext|>");
  return vocabulary;
}

void ClipVocabulary::Write(formats::GgufWriter& writer) const {
  writer.Set("tokenizer.ggml.model", "clip");
  writer.Set("tokenizer.ggml.tokens", tokens);
  writer.Set("tokenizer.ggml.merges", merges);
}

Result<ClipTokenizer> ClipTokenizer::Create(const ClipVocabulary& vocabulary) {
  ONDINE_ASSIGN(PreTokenizer words, PreTokenizer::Create("clip"));
  ClipTokenizer tokenizer(std::move(words));
  TokenIds ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    ids.emplace(vocabulary.tokens[id], static_cast<TokenId>(id));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string character = BytesToCharacters({&c, 1});
    const auto inside = ids.find(character);
    const auto last = ids.find(character + std::string(kEndOfWord));
    if (inside == ids.end() || last == ids.end()) {
      return MakeError(
          ErrorCode::kCorrupt,
          "the vocabulary is not that of CLIP: no token for the byte " + std::to_string(byte));
    }
    tokenizer.bytes_[static_cast<std::size_t>(byte)] = inside->second;
    tokenizer.last_bytes_[static_cast<std::size_t>(byte)] = last->second;
  }
  if (vocabulary.tokens.size() != kByteTokens + vocabulary.merges.size() + kSpecialTokens) {
    return MakeError(
        ErrorCode::kCorrupt,
        "the vocabulary is not that of CLIP: " + std::to_string(vocabulary.tokens.size()) +
            " tokens and " + std::to_string(vocabulary.merges.size()) + " merges");
  }
  for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const std::optional<MergeParts> parts = FindParts(vocabulary.merges[rank], ids);
    if (!parts) {
      return MakeError(ErrorCode::kCorrupt, "the vocabulary has no tokens for the merge " +
                                                base::Quote(vocabulary.merges[rank]));
    }
    tokenizer.merges_.emplace(
        Pair(parts->left, parts->right),
        Merge{static_cast<std::uint32_t>(rank), static_cast<TokenId>(kByteTokens + rank)});
  }
  tokenizer.start_ = static_cast<TokenId>(vocabulary.tokens.size()) - kSpecialTokens;
  return tokenizer;
}

Result<ClipVocabulary> ClipVocabulary::FromGguf(const formats::GgufFile& file) {
  ONDINE_ASSIGN(const std::vector<std::string>* tokens, file.FindStrings("tokenizer.ggml.tokens"));
  if (tokens == nullptr) {
    return MakeError(ErrorCode::kNotFound, "no vocabulary: key tokenizer.ggml.tokens is missing",
                     file.path());
  }
  ONDINE_ASSIGN(const std::vector<std::string>* merges, file.FindStrings("tokenizer.ggml.merges"));
  ClipVocabulary vocabulary;
  vocabulary.tokens = *tokens;
  if (merges != nullptr) {
    vocabulary.merges = *merges;
  } else {
    ONDINE_ASSIGN(vocabulary.merges, RecoverMerges(*tokens, file.path()));
  }
  return vocabulary;
}

Result<ClipTokenizer> ClipTokenizer::FromGguf(const formats::GgufFile& file) {
  ONDINE_ASSIGN(const ClipVocabulary vocabulary, ClipVocabulary::FromGguf(file));
  auto tokenizer = Create(vocabulary);
  if (!tokenizer) tokenizer.error().context = file.path();
  return tokenizer;
}

std::vector<ClipTokenizer::Token> ClipTokenizer::Encode(std::string_view text) const {
  const NormalForm normal = Normalize(text);
  std::vector<Token> tokens;
  WordMerger merger;
  const auto find_merge = [this](
                              const WordMerger::Piece& left,
                              const WordMerger::Piece& right) -> std::optional<WordMerger::Merge> {
    const auto merge = merges_.find(Pair(left.id, right.id));
    if (merge == merges_.end()) return std::nullopt;
    return WordMerger::Merge{merge->second.rank, merge->second.id};
  };
  std::size_t begin = 0;
  for (const std::size_t end : words_.Split(normal.text)) {
    const std::string_view word = std::string_view{normal.text}.substr(begin, end - begin);
    if (word != " ") {
      merger.Clear();
      for (std::size_t i = 0; i < word.size(); ++i) {
        const auto byte = static_cast<unsigned char>(word[i]);
        merger.Append(1, i + 1 < word.size() ? bytes_[byte] : last_bytes_[byte]);
      }
      merger.Run(find_merge);
      merger.ForEach([&](const WordMerger::Piece& piece) {
        tokens.push_back({piece.id, normal.origins[begin + piece.begin].begin,
                          normal.origins[begin + piece.begin + piece.size - 1].end,
                          piece.begin + piece.size == word.size()});
      });
    }
    begin = end;
  }
  return tokens;
}

}  // namespace ondine::text
