#include "text/tokenizer.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <variant>

#include "base/quote.h"
#include "base/try.h"
#include "text/bpe.h"
#include "text/sentencepiece.h"
#include "text/special_tokens.h"
#include "text/vocabulary.h"

namespace ondine::text {

class Tokenizer::Impl {
 public:
  static Result<std::unique_ptr<const Impl>> FromGguf(const formats::GgufFile& file);

  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const;
  std::string Piece(TokenId token, bool special) const;
  std::string Decode(const std::vector<TokenId>& tokens, bool special) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  bool adds_bos() const { return adds_bos_; }

 private:
  using Model = std::variant<BpeModel, SentencePieceModel>;
  Impl(Vocabulary vocabulary, Model model, SpecialTokens special)
      : vocabulary_(std::move(vocabulary)),
        model_(std::move(model)),
        special_(std::move(special)) {}
  void EncodePlain(std::string_view text, bool continues, EncodeState& state) const;

  Vocabulary vocabulary_;
  Model model_;
  SpecialTokens special_;
  bool adds_bos_ = false;
};

namespace {

// In these models special tokens swallow the white space behind them; the file does not say so.
bool AbsorbsSpace(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
}

}  // namespace

Result<std::unique_ptr<const Tokenizer::Impl>> Tokenizer::Impl::FromGguf(
    const formats::GgufFile& file) {
  ONDINE_ASSIGN(const std::optional<std::string> kind, file.FindString("tokenizer.ggml.model"));
  if (!kind) {
    return MakeError(ErrorCode::kNotFound, "no vocabulary: key tokenizer.ggml.model is missing",
                     file.path());
  }
  if (*kind != "gpt2" && *kind != "llama") {
    return MakeError(ErrorCode::kUnsupported,
                     "tokenizers of kind " + base::Quote(*kind) +
                         " are not supported, only gpt2 (byte-level BPE) and llama (SentencePiece)",
                     file.path());
  }
  ONDINE_ASSIGN(Vocabulary vocabulary, Vocabulary::FromGguf(file));
  ONDINE_ASSIGN(const std::optional<std::string> name, file.FindString("general.name"));
  auto special = SpecialTokens::Create(vocabulary, AbsorbsSpace(name.value_or("")));
  if (!special) {
    special.error().context = file.path();
    return tl::make_unexpected(std::move(special).error());
  }
  std::unique_ptr<Impl> impl;
  bool adds_bos = true;
  if (*kind == "gpt2") {
    ONDINE_ASSIGN(BpeModel model, BpeModel::FromGguf(file, vocabulary));
    adds_bos = model.adds_bos();
    impl.reset(new Impl(std::move(vocabulary), std::move(model), std::move(*special)));
  } else {
    ONDINE_ASSIGN(SentencePieceModel model, SentencePieceModel::FromGguf(file, vocabulary));
    impl.reset(new Impl(std::move(vocabulary), model, std::move(*special)));
  }
  ONDINE_ASSIGN(const std::optional<bool> wanted, file.FindBool("tokenizer.ggml.add_bos_token"));
  impl->adds_bos_ = wanted.value_or(adds_bos) && impl->vocabulary_.bos().has_value();
  return impl;
}

std::vector<TokenId> Tokenizer::Impl::Encode(std::string_view text,
                                             const EncodeOptions& options) const {
  EncodeState state(text.size());
  if (options.add_bos && adds_bos_) state.tokens.push_back(*vocabulary_.bos());
  for (std::size_t at = 0; at < text.size();) {
    const auto match = special_.Next(text, at, options.parse_special);
    const std::size_t plain_end = match ? match->begin : text.size();
    if (plain_end > at) {
      EncodePlain(text.substr(at, plain_end - at), options.continues && at == 0, state);
    }
    if (!match) break;
    state.tokens.push_back(match->id);
    at = match->end;
  }
  return std::move(state.tokens);
}

void Tokenizer::Impl::EncodePlain(std::string_view text, bool continues, EncodeState& state) const {
  if (const auto* bpe = std::get_if<BpeModel>(&model_)) {
    bpe->Encode(text, vocabulary_, state);
  } else {
    std::get<SentencePieceModel>(model_).Encode(text, continues, vocabulary_, state);
  }
}

std::string Tokenizer::Impl::Piece(TokenId token, bool special) const {
  if (!vocabulary_.Contains(token)) return "";
  const std::string& text = vocabulary_.Text(token);
  switch (vocabulary_.Type(token)) {
    case TokenType::kControl:
    case TokenType::kUnknown: return special ? text : "";
    case TokenType::kUserDefined: return text;
    case TokenType::kByte:
      if (const auto byte = SentencePieceModel::Byte(text)) return std::string(1, *byte);
      [[fallthrough]];
    default: break;
  }
  const bool byte_level = std::holds_alternative<BpeModel>(model_);
  return byte_level ? CharactersToBytes(text) : UnescapeSpaces(text);
}

std::string Tokenizer::Impl::Decode(const std::vector<TokenId>& tokens, bool special) const {
  const auto* model = std::get_if<SentencePieceModel>(&model_);
  bool drop_space = model != nullptr && model->adds_space_prefix();
  std::string text;
  for (const TokenId token : tokens) {
    const std::string piece = Piece(token, special);
    const bool is_text = vocabulary_.Contains(token) &&
                         vocabulary_.Type(token) != TokenType::kControl &&
                         vocabulary_.Type(token) != TokenType::kUnknown;
    const bool dropped = drop_space && is_text && piece.starts_with(' ');
    text += dropped ? std::string_view{piece}.substr(1) : std::string_view{piece};
    if (is_text) drop_space = false;
  }
  return text;
}

Result<Tokenizer> Tokenizer::FromGguf(const formats::GgufFile& file) {
  ONDINE_ASSIGN(auto impl, Impl::FromGguf(file));
  return Tokenizer(std::move(impl));
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  return impl_->Encode(text, options);
}

std::string Tokenizer::Piece(TokenId token, bool special) const {
  return impl_->Piece(token, special);
}

std::string Tokenizer::Decode(const std::vector<TokenId>& tokens, bool special) const {
  return impl_->Decode(tokens, special);
}

std::int32_t Tokenizer::size() const {
  return impl_->vocabulary().size();
}
std::optional<TokenId> Tokenizer::bos() const {
  return impl_->vocabulary().bos();
}
bool Tokenizer::adds_bos() const {
  return impl_->adds_bos();
}

bool Tokenizer::EndsGeneration(TokenId token) const {
  return impl_->vocabulary().EndsGeneration(token);
}

}  // namespace ondine::text
