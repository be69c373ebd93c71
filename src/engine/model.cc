#include "ondine/model.h"

#include <algorithm>
#include <map>

#include "base/guarded.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "engine/model_parts.h"
#include "formats/fingerprint.h"
#include "formats/gguf.h"

namespace ondine {
namespace {

// The type that holds most of the weights.
std::string DominantType(const formats::GgufFile& file) {
  std::map<formats::TensorType, std::int64_t> elements;
  for (const formats::GgufTensor& tensor : file.tensors()) {
    elements[tensor.type] += tensor.Elements();
  }
  const auto most = std::max_element(elements.begin(), elements.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return most == elements.end() ? "" : std::string(formats::Describe(most->first).name);
}

// Tokens that end a sentence: with a mark that does, or a blank line.
memory::SentenceEnds FindSentenceEnds(const text::Tokenizer& tokenizer, std::int64_t vocabulary) {
  memory::SentenceEnds ends(static_cast<std::size_t>(vocabulary), false);
  for (TokenId id = 0; id < static_cast<TokenId>(tokenizer.size()); ++id) {
    const std::string piece = tokenizer.Piece(id);
    for (const std::string_view mark : {".", "!", "?", "\n\n", "。", "！", "？", "।", "؟"}) {
      if (piece.find(mark) != std::string::npos) ends[static_cast<std::size_t>(id)] = true;
    }
  }
  return ends;
}

Result<ModelInfo> Describe(const formats::GgufFile& file, const models::Decoder& decoder) {
  ModelInfo info;
  const models::DecoderSpec& spec = decoder.spec();
  info.path = file.path();
  ONDINE_ASSIGN(const auto name, file.FindString("general.name"));
  ONDINE_ASSIGN(const auto license, file.FindString("general.license"));
  info.name = name.value_or("");
  info.license = license.value_or("");
  info.architecture = spec.architecture;
  info.weights = decoder.quantization() ? decoder.quantization()->scheme : DominantType(file);
  info.parameters = decoder.parameters();
  info.file_bytes = static_cast<std::int64_t>(file.file_size());
  info.weight_bytes = static_cast<std::int64_t>(decoder.bytes());
  info.layers = spec.layers;
  for (int i = 0; i < spec.layers; ++i) info.global_layers += spec.IsLocal(i) ? 0 : 1;
  info.width = spec.width;
  info.heads = spec.heads;
  info.kv_heads = spec.kv_heads;
  info.head_dim = spec.head_dim;
  info.hidden = spec.hidden;
  info.window = spec.window;
  info.vocabulary = decoder.vocabulary();
  info.trained_context = spec.trained_context;
  constexpr std::int64_t kBytesPerF16 = 2;
  info.cache_bytes_per_token =
      2 * kBytesPerF16 * info.global_layers * spec.kv_heads * spec.padded_head_dim();
  return info;
}

Result<std::unique_ptr<Model::Parts>> LoadParts(const std::string& path,
                                                const ModelOptions& options) {
  ONDINE_ASSIGN(const formats::GgufFile file, formats::GgufFile::Open(path));
  compute::ThreadPool pool(compute::ThreadCount(options.threads));
  ONDINE_ASSIGN(text::Tokenizer tokenizer, text::Tokenizer::FromGguf(file));
  const std::string fingerprint = formats::Fingerprint(file);
  ONDINE_ASSIGN(auto decoder, models::Decoder::Load(file, pool));
  if (tokenizer.size() > decoder->vocabulary()) {
    return MakeError(ErrorCode::kCorrupt,
                     "the tokenizer has " + std::to_string(tokenizer.size()) +
                         " tokens, the model only " + std::to_string(decoder->vocabulary()),
                     path);
  }
  ONDINE_ASSIGN(ModelInfo info, Describe(file, *decoder));
  auto ends = std::make_shared<const memory::SentenceEnds>(
      FindSentenceEnds(tokenizer, decoder->vocabulary()));
  std::unique_ptr<Model::Parts> parts(new Model::Parts{std::move(info), std::move(tokenizer),
                                                       std::nullopt, Error(), std::move(decoder),
                                                       std::move(ends), fingerprint});
  if (!options.chat_template.empty()) {
    ONDINE_ASSIGN(parts->chat_template, text::ChatTemplate::ByName(options.chat_template));
  } else {
    ONDINE_ASSIGN(const auto jinja, file.FindString("tokenizer.chat_template"));
    auto recognized =
        jinja ? text::ChatTemplate::Recognize(*jinja)
              : MakeError(ErrorCode::kNotFound,
                          "the model has no chat template; choose one with --chat-template", path);
    if (recognized) {
      parts->chat_template = std::move(*recognized);
    } else {
      parts->chat_template_error = std::move(recognized).error();
    }
  }
  if (parts->chat_template) parts->info.chat_template = parts->chat_template->name();
  return parts;
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::Load(const std::string& path,
                                                 const ModelOptions& options) {
  const auto load = [&]() -> Result<std::shared_ptr<const Model>> {
    ONDINE_ASSIGN(auto parts, LoadParts(path, options));
    return std::shared_ptr<const Model>(new Model(std::move(parts)));
  };
  return base::Guarded(load, "there is not enough memory for the model", path);
}

Model::Model(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Model::~Model() = default;

const ModelInfo& Model::info() const {
  return parts_->info;
}

std::vector<TokenId> Model::Tokenize(std::string_view text, bool add_bos, bool special) const {
  text::EncodeOptions options;
  options.add_bos = add_bos;
  options.parse_special = special;
  return parts_->tokenizer.Encode(text, options);
}

std::string Model::Detokenize(const std::vector<TokenId>& tokens) const {
  return parts_->tokenizer.Decode(tokens);
}

}  // namespace ondine
