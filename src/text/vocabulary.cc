#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "base/try.h"

namespace ondine::text {
namespace {

constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";

// Texts of tokens that end a turn or a text in models whose files do not always say so.
// "</s>" is not among them: where it ends texts it is the file's EOS, and elsewhere an HTML tag.
constexpr std::string_view kEndTexts[] = {
    "<|im_end|>",    "<|eot_id|>",
    "<|eom_id|>",    "<end_of_turn>",
    "<turn|>",       "<|end|>",
    "<|return|>",    "<|call|>",
    "<|endoftext|>", "<|end_of_text|>",
    "<|endofturn|>", "[|endofturn|]",
    "<|eot|>",       "<|EOT|>",
    "<EOT>",         "_<EOT>",
    "[EOT]",         "<end_of_utterance>",
    "<eos>",         "<|END_OF_TURN_TOKEN|>",
    "<|fim_pad|>",   "<|repo_name|>",
    "<|file_sep|>",  "<｜end▁of▁sentence｜>",
};

TokenType ToTokenType(std::int64_t number) {
  switch (number) {
    case 2: return TokenType::kUnknown;
    case 3: return TokenType::kControl;
    case 4: return TokenType::kUserDefined;
    case 5: return TokenType::kUnused;
    case 6: return TokenType::kByte;
    default: return TokenType::kNormal;
  }
}

Error WrongLength(const formats::GgufFile& file, std::string_view key, std::size_t length,
                  std::size_t tokens) {
  return Error{ErrorCode::kCorrupt,
               std::string(key) + " has " + std::to_string(length) + " entries for " +
                   std::to_string(tokens) + " tokens",
               file.path()};
}

}  // namespace

Result<Vocabulary> Vocabulary::FromGguf(const formats::GgufFile& file) {
  ONDINE_ASSIGN(const std::vector<std::string>* texts, file.FindStrings(kTokensKey));
  if (texts == nullptr) {
    return MakeError(ErrorCode::kNotFound,
                     "no vocabulary: key " + std::string(kTokensKey) + " is missing", file.path());
  }
  if (texts->empty() || texts->size() > std::numeric_limits<TokenId>::max() / 2) {
    return MakeError(ErrorCode::kCorrupt,
                     "a vocabulary of " + std::to_string(texts->size()) + " tokens", file.path());
  }
  Vocabulary vocabulary;
  vocabulary.texts_ = *texts;
  vocabulary.BuildIndex();
  ONDINE_TRY(vocabulary.ReadTypes(file));
  ONDINE_TRY(vocabulary.ReadScores(file));
  ONDINE_TRY(vocabulary.ReadSpecialIds(file));
  return vocabulary;
}

void Vocabulary::BuildIndex() {
  index_.assign(std::bit_ceil(texts_.size() * 2), Slot{});
  const std::size_t mask = index_.size() - 1;
  for (TokenId id = 0; id < size(); ++id) {
    const std::size_t hash = std::hash<std::string_view>{}(Text(id));
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    std::size_t i = hash & mask;
    while (index_[i].id >= 0 && !(index_[i].tag == tag && Text(index_[i].id) == Text(id))) {
      i = (i + 1) & mask;
    }
    if (index_[i].id < 0) index_[i] = {tag, id};
  }
}

std::optional<TokenId> Vocabulary::Find(std::string_view text) const {
  const std::size_t mask = index_.size() - 1;
  const std::size_t hash = std::hash<std::string_view>{}(text);
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  for (std::size_t i = hash & mask; index_[i].id >= 0; i = (i + 1) & mask) {
    if (index_[i].tag == tag && Text(index_[i].id) == text) return index_[i].id;
  }
  return std::nullopt;
}

Status Vocabulary::ReadTypes(const formats::GgufFile& file) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  types_.assign(texts_.size(), TokenType::kNormal);
  ONDINE_ASSIGN(const auto types, file.FindInts(kKey));
  if (!types) return {};
  if (types->size() != texts_.size()) {
    return tl::make_unexpected(WrongLength(file, kKey, types->size(), texts_.size()));
  }
  std::transform(types->begin(), types->end(), types_.begin(), ToTokenType);
  return {};
}

Status Vocabulary::ReadScores(const formats::GgufFile& file) {
  constexpr std::string_view kKey = "tokenizer.ggml.scores";
  if (file.Find(kKey) == nullptr) return {};
  ONDINE_ASSIGN(const std::vector<float>* scores, file.FindFloats(kKey));
  if (scores->size() != texts_.size()) {
    return tl::make_unexpected(WrongLength(file, kKey, scores->size(), texts_.size()));
  }
  for (std::size_t i = 0; i < scores->size(); ++i) {
    if (!std::isnan((*scores)[i])) continue;
    return MakeError(ErrorCode::kCorrupt,
                     std::string(kKey) + "[" + std::to_string(i) + "] is not a number",
                     file.path());
  }
  scores_ = *scores;
  return {};
}

Status Vocabulary::ReadSpecialIds(const formats::GgufFile& file) {
  std::optional<TokenId> end_of_turn;
  std::optional<TokenId> end_of_message;
  ONDINE_ASSIGN(const std::optional<std::string> model, file.FindString("tokenizer.ggml.model"));
  if (model == "llama" && size() > 2) {  // SentencePiece's own numbers
    unknown_ = 0;
    bos_ = 1;
    eos_ = 2;
  }
  const std::pair<std::string, std::optional<TokenId>*> keys[] = {
      {"tokenizer.ggml.bos_token_id", &bos_},
      {"tokenizer.ggml.eos_token_id", &eos_},
      {"tokenizer.ggml.unknown_token_id", &unknown_},
      {"tokenizer.ggml.eot_token_id", &end_of_turn},
      {"tokenizer.ggml.eom_token_id", &end_of_message},
  };
  for (const auto& [key, id] : keys) {
    ONDINE_ASSIGN(const std::optional<std::int64_t> value, file.FindInt(key));
    // Converters write "none" as -1, which an unsigned field turns into 2^32 - 1.
    if (!value || *value == -1 || *value == std::numeric_limits<std::uint32_t>::max()) continue;
    if (*value < 0 || *value >= size()) {
      return MakeError(ErrorCode::kCorrupt,
                       key + " is " + std::to_string(*value) + " in a vocabulary of " +
                           std::to_string(size()) + " tokens",
                       file.path());
    }
    *id = static_cast<TokenId>(*value);
  }
  CollectEnds(end_of_turn, end_of_message);
  return {};
}

void Vocabulary::CollectEnds(std::optional<TokenId> end_of_turn,
                             std::optional<TokenId> end_of_message) {
  for (const auto id : {eos_, end_of_turn, end_of_message}) {
    if (id) ends_.push_back(*id);
  }
  const auto is_special = [this](std::string_view text) {
    const auto id = Find(text);
    return id && (Type(*id) == TokenType::kControl || Type(*id) == TokenType::kUserDefined);
  };
  // In gpt-oss <|end|> closes a part of a turn, and <|return|> or <|call|> the turn itself.
  const bool end_is_part = is_special("<|return|>") && is_special("<|call|>");
  for (const std::string_view text : kEndTexts) {
    if (!is_special(text) || (end_is_part && text == "<|end|>")) continue;
    ends_.push_back(*Find(text));
    // Some converters mark these as user-defined, which would let plain text end a turn.
    types_[static_cast<std::size_t>(ends_.back())] = TokenType::kControl;
  }
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
}

bool Vocabulary::EndsGeneration(TokenId id) const {
  return std::binary_search(ends_.begin(), ends_.end(), id);
}

}  // namespace ondine::text
