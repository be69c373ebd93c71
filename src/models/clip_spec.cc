#include "models/clip_spec.h"

#include <array>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "base/quote.h"
#include "base/try.h"
#include "models/hyperparameters.h"

namespace ondine::models {
namespace {

constexpr std::array kResizeModes = {std::pair{ResizeMode::kShortest, "shortest"},
                                     std::pair{ResizeMode::kShortestRounded, "shortest_rounded"},
                                     std::pair{ResizeMode::kLongest, "longest"},
                                     std::pair{ResizeMode::kSquash, "squash"}};

std::string_view ResizeModeName(ResizeMode mode) {
  return kResizeModes[static_cast<std::size_t>(mode)].second;
}

std::optional<ResizeMode> FindResizeMode(std::string_view name) {
  for (const auto& [mode, mode_name] : kResizeModes) {
    if (name == mode_name) return mode;
  }
  return std::nullopt;
}

constexpr int kMostLayers = 1024, kMostWidth = 1 << 16;

// `section`: "text" or "vision".
Result<TowerSpec> ReadTower(const Hyperparameters& parameters, const formats::GgufFile& file,
                            const std::string& section) {
  const std::string prefix = section + '.';
  TowerSpec tower;
  ONDINE_ASSIGN(tower.layers, parameters.Int(prefix + "block_count", 1, kMostLayers));
  ONDINE_ASSIGN(tower.width, parameters.Int(prefix + "embedding_length", 1, kMostWidth));
  ONDINE_ASSIGN(tower.heads, parameters.Int(prefix + "attention.head_count", 1, tower.width));
  ONDINE_ASSIGN(tower.hidden, parameters.Int(prefix + "feed_forward_length", 1, kMostWidth * 8));
  ONDINE_ASSIGN(const double epsilon, parameters.Positive(prefix + "attention.layer_norm_epsilon"));
  tower.norm_epsilon = static_cast<float>(epsilon);
  if (tower.width % tower.heads != 0) {
    return MakeError(ErrorCode::kCorrupt,
                     "the " + section + " tower's width, " + std::to_string(tower.width) +
                         ", is no multiple of its " + std::to_string(tower.heads) + " heads",
                     file.path());
  }
  return tower;
}

void SetInt(formats::GgufWriter& writer, const std::string& key, int value) {
  writer.Set(key, std::int64_t{value});
}

void WriteTower(const TowerSpec& tower, const std::string& section, formats::GgufWriter& writer) {
  const std::string prefix = "clip." + section + '.';
  SetInt(writer, prefix + "block_count", tower.layers);
  SetInt(writer, prefix + "embedding_length", tower.width);
  SetInt(writer, prefix + "attention.head_count", tower.heads);
  SetInt(writer, prefix + "feed_forward_length", tower.hidden);
  writer.Set(prefix + "attention.layer_norm_epsilon", static_cast<double>(tower.norm_epsilon));
}

Result<std::array<float, 3>> ReadColour(const formats::GgufFile& file, const std::string& key,
                                        bool positive) {
  ONDINE_ASSIGN(const std::vector<float>* values, file.FindFloats(key));
  bool good = values != nullptr && values->size() == 3;
  for (std::size_t i = 0; good && i < 3; ++i) {
    good = std::isfinite((*values)[i]) && (!positive || (*values)[i] > 0);
  }
  if (!good) {
    return MakeError(ErrorCode::kCorrupt, "the key " + key + " must be three numbers", file.path());
  }
  return std::array{(*values)[0], (*values)[1], (*values)[2]};
}

Status CheckIsClip(const formats::GgufFile& file) {
  ONDINE_ASSIGN(const std::optional<std::string> found, file.FindString("general.architecture"));
  const std::string architecture = found.value_or("");
  if (architecture != "clip") {
    return MakeError(ErrorCode::kUnsupported,
                     "is no CLIP model, but of architecture " + base::Quote(architecture),
                     file.path());
  }
  for (const char* part : {"text", "vision"}) {
    ONDINE_ASSIGN(const std::optional<bool> has,
                  file.FindBool("clip.has_" + std::string(part) + "_encoder"));
    if (!has.value_or(false)) {
      return MakeError(ErrorCode::kUnsupported,
                       "has no " + std::string(part) + " encoder; both are needed", file.path());
    }
  }
  return {};
}

}  // namespace

Result<ClipSpec> ReadClipSpec(const formats::GgufFile& file) {
  ONDINE_TRY(CheckIsClip(file));
  const Hyperparameters parameters(file, "clip");
  ClipSpec spec;
  ONDINE_ASSIGN(const std::optional<std::string> name, file.FindString("general.name"));
  spec.name = name.value_or("");
  ONDINE_ASSIGN(spec.text, ReadTower(parameters, file, "text"));
  ONDINE_ASSIGN(spec.image, ReadTower(parameters, file, "vision"));
  ONDINE_ASSIGN(spec.projection, parameters.Int("vision.projection_dim", 1, kMostWidth));
  ONDINE_ASSIGN(const int text_projection, parameters.Int("text.projection_dim", 1, kMostWidth));
  if (text_projection != spec.projection) {
    return MakeError(ErrorCode::kCorrupt,
                     "texts and pictures have vectors of different lengths, " +
                         std::to_string(text_projection) + " and " +
                         std::to_string(spec.projection),
                     file.path());
  }
  ONDINE_ASSIGN(spec.context, parameters.Int("text.context_length", 3, 1 << 20));
  ONDINE_ASSIGN(const double scale, parameters.Positive("logit_scale", 100));
  spec.logit_scale = static_cast<float>(scale);
  ONDINE_ASSIGN(const std::optional<bool> gelu, file.FindBool("clip.use_gelu"));
  spec.activation = gelu.value_or(false) ? ClipActivation::kGelu : ClipActivation::kQuickGelu;

  ONDINE_ASSIGN(spec.image_size, parameters.Int("vision.image_size", 1, 1 << 14));
  ONDINE_ASSIGN(spec.patch_size, parameters.Int("vision.patch_size", 1, spec.image_size));
  ONDINE_ASSIGN(spec.mean, ReadColour(file, "clip.vision.image_mean", false));
  ONDINE_ASSIGN(spec.deviation, ReadColour(file, "clip.vision.image_std", true));
  ONDINE_ASSIGN(const std::string resize, parameters.String("vision.resize", "shortest"));
  const std::optional<ResizeMode> mode = FindResizeMode(resize);
  if (!mode) {
    return MakeError(ErrorCode::kUnsupported,
                     "pictures are resized in a way that is not known: " + base::Quote(resize),
                     file.path());
  }
  spec.resize = *mode;
  ONDINE_ASSIGN(spec.fill, parameters.Int("vision.fill", 0, 255, 0));
  ONDINE_ASSIGN(const std::vector<std::string>* tokens, file.FindStrings("tokenizer.ggml.tokens"));
  spec.vocabulary = tokens == nullptr ? 0 : static_cast<int>(tokens->size());
  return spec;
}

void WriteClipSpec(const ClipSpec& spec, formats::GgufWriter& writer) {
  writer.Set("general.architecture", "clip");
  writer.Set("general.name", spec.name);
  writer.Set("clip.has_text_encoder", true);
  writer.Set("clip.has_vision_encoder", true);
  writer.Set("clip.use_gelu", spec.activation == ClipActivation::kGelu);
  writer.Set("clip.logit_scale", static_cast<double>(spec.logit_scale));
  WriteTower(spec.text, "text", writer);
  WriteTower(spec.image, "vision", writer);
  SetInt(writer, "clip.text.projection_dim", spec.projection);
  SetInt(writer, "clip.vision.projection_dim", spec.projection);
  SetInt(writer, "clip.text.context_length", spec.context);
  SetInt(writer, "clip.vision.image_size", spec.image_size);
  SetInt(writer, "clip.vision.patch_size", spec.patch_size);
  writer.Set("clip.vision.image_mean", std::vector<float>(spec.mean.begin(), spec.mean.end()));
  writer.Set("clip.vision.image_std",
             std::vector<float>(spec.deviation.begin(), spec.deviation.end()));
  writer.Set("clip.vision.resize", std::string(ResizeModeName(spec.resize)));
  SetInt(writer, "clip.vision.fill", spec.fill);
}

}  // namespace ondine::models
