#include "images/clip_config.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::images {
namespace {

using Json = nlohmann::json;
using models::ClipActivation;
using models::ClipSpec;
using models::ResizeMode;
using models::TowerSpec;

constexpr std::array<float, 3> kMean = {0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, 3> kDeviation = {0.26862954f, 0.26130258f, 0.27577711f};

// An object of a configuration, and where it stands.
class Section {
 public:
  Section(const Json& object, std::string name) : object_(object), name_(std::move(name)) {}

  static Result<Json> Parse(std::string_view text, const std::string& name) {
    // Left out where it is nested deeper than any configuration: dump() calls itself for each
    // level.
    const auto flat = [](int depth, Json::parse_event_t, const Json&) { return depth < 16; };
    Json parsed = Json::parse(text, flat, false);
    if (!parsed.is_object()) return MakeError(ErrorCode::kCorrupt, "is no JSON object", name);
    return parsed;
  }

  bool Has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
  // Empty where it is absent.
  Section Part(const char* key) const {
    static const Json empty = Json::object();
    const bool there = Has(key) && object_.at(key).is_object();
    return {there ? object_.at(key) : empty, name_ + ", " + key};
  }

  Result<int> Int(const char* key, std::optional<int> fallback, unsigned least = 1,
                  unsigned most = kMost) const {
    if (!Has(key)) {
      if (fallback) return *fallback;
      return Wrong(key, "is missing");
    }
    const Json& value = object_.at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least ||
        value.get<std::uint64_t>() > most) {
      return Wrong(key, "is no size");
    }
    return value.get<int>();
  }
  Result<int> Layers(const char* key, int fallback) const {
    return Int(key, fallback, 1, kMostLayers);
  }
  Result<int> Hidden(int width) const {
    ONDINE_ASSIGN(const double ratio, Number("mlp_ratio", 4));
    const double hidden = width * ratio;
    if (hidden < 1 || hidden > kMost) return Wrong("mlp_ratio", "makes no sense");
    return static_cast<int>(hidden);
  }
  // Finite and above 0 as a float.
  Result<float> Positive(const char* key, double fallback) const {
    ONDINE_ASSIGN(const double value, Number(key, fallback));
    const bool fits = value <= std::numeric_limits<float>::max() && static_cast<float>(value) > 0;
    if (!fits) return Wrong(key, "is no number above 0");
    return static_cast<float>(value);
  }
  Result<double> Number(const char* key, double fallback) const {
    if (!Has(key)) return fallback;
    const Json& value = object_.at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      return Wrong(key, "is no number");
    return value.get<double>();
  }
  Result<std::string> String(const char* key, const char* fallback) const {
    if (!Has(key)) return std::string(fallback);
    if (!object_.at(key).is_string()) return Wrong(key, "is no text");
    return object_.at(key).get<std::string>();
  }
  bool Flag(const char* key, bool fallback) const {
    return Has(key) && object_.at(key).is_boolean() ? object_.at(key).get<bool>() : fallback;
  }
  Result<std::array<float, 3>> Colour(const char* key, const std::array<float, 3>& fallback,
                                      bool positive) const {
    if (!Has(key)) return fallback;
    const Json& value = object_.at(key);
    std::array<float, 3> colour{};
    if (!value.is_array() || value.size() != 3) return Wrong(key, "is no list of three numbers");
    for (std::size_t i = 0; i < 3; ++i) {
      if (!value[i].is_number()) return Wrong(key, "is no list of three numbers");
      colour[i] = value[i].get<float>();
      if (!std::isfinite(colour[i]) || (positive && !(colour[i] > 0))) {
        return Wrong(key, "holds a number that makes no sense");
      }
    }
    return colour;
  }
  const Json& operator[](const char* key) const { return object_.at(key); }

  tl::unexpected<Error> Wrong(const char* key, const std::string& what) const {
    return MakeError(ErrorCode::kCorrupt, base::Quote(key) + " " + what, name_);
  }
  tl::unexpected<Error> Unsupported(const char* key, const std::string& value) const {
    return MakeError(ErrorCode::kUnsupported,
                     base::Quote(key) + " is " + base::Quote(value) + ", which is not known",
                     name_);
  }

 private:
  static constexpr unsigned kMost = 1 << 24;
  static constexpr unsigned kMostLayers = 1024;  // as models::ReadClipSpec() has it
  const Json& object_;
  std::string name_;
};

Status CheckHeads(const TowerSpec& tower, const std::string& name) {
  if (tower.heads <= tower.width && tower.width % tower.heads == 0) return {};
  return MakeError(ErrorCode::kCorrupt,
                   "a width of " + std::to_string(tower.width) + " and " +
                       std::to_string(tower.heads) + " heads",
                   name);
}

struct TransformersTower {
  TowerSpec spec;
  ClipActivation activation;
};

Result<TransformersTower> ReadTower(const Section& section, const TowerSpec& fallback) {
  TransformersTower tower;
  ONDINE_ASSIGN(tower.spec.width, section.Int("hidden_size", fallback.width));
  ONDINE_ASSIGN(tower.spec.hidden, section.Int("intermediate_size", fallback.hidden));
  ONDINE_ASSIGN(tower.spec.layers, section.Layers("num_hidden_layers", fallback.layers));
  ONDINE_ASSIGN(tower.spec.heads, section.Int("num_attention_heads", fallback.heads));
  ONDINE_ASSIGN(tower.spec.norm_epsilon, section.Positive("layer_norm_eps", 1e-5));
  ONDINE_ASSIGN(const std::string activation, section.String("hidden_act", "quick_gelu"));
  if (activation != "quick_gelu" && activation != "gelu") {
    return section.Unsupported("hidden_act", activation);
  }
  tower.activation = activation == "gelu" ? ClipActivation::kGelu : ClipActivation::kQuickGelu;
  return tower;
}

// "crop_size": {"height": 224, "width": 224}, "crop_size": 224 or "size": {"shortest_edge": 224}.
// What of it is said must be the model's image size.
Status CheckPictureSize(const Section& section, int image_size) {
  for (const char* key : {"crop_size", "size"}) {
    if (!section.Has(key)) continue;
    const Json& size = section[key];
    bool same = !size.is_number() || size == image_size;
    if (size.is_object()) {
      for (const auto& [name, value] : size.items()) same = same && value == image_size;
    }
    if (!same) {
      return section.Unsupported(key, size.dump() + " (the model's pictures have " +
                                          std::to_string(image_size) + " pixels a side)");
    }
  }
  return {};
}

Status ReadPreprocessor(std::string_view text, const std::string& name, ClipSpec& spec) {
  spec.mean = kMean;
  spec.deviation = kDeviation;
  if (text.empty()) return {};
  ONDINE_ASSIGN(const Json json, Section::Parse(text, name));
  const Section section(json, name);
  ONDINE_ASSIGN(spec.mean, section.Colour("image_mean", kMean, false));
  ONDINE_ASSIGN(spec.deviation, section.Colour("image_std", kDeviation, true));
  ONDINE_TRY(CheckPictureSize(section, spec.image_size));
  spec.resize = section.Flag("do_center_crop", true) ? ResizeMode::kShortest : ResizeMode::kSquash;
  // Steps that a model was trained with; there is no way to leave them out here.
  for (const char* step : {"do_resize", "do_rescale", "do_normalize"}) {
    if (!section.Flag(step, true)) return section.Unsupported(step, "false");
  }
  constexpr double kFactor = 1.0 / 255;
  if (section.Has("rescale_factor")) {
    const Json& factor = section["rescale_factor"];
    if (!factor.is_number() || std::abs(factor.get<double>() - kFactor) > 1e-6) {
      return section.Unsupported("rescale_factor", factor.dump());
    }
  }
  constexpr int kBicubic = 3;
  ONDINE_ASSIGN(const int filter, section.Int("resample", kBicubic));
  if (filter != kBicubic) return section.Unsupported("resample", std::to_string(filter));
  return {};
}

}  // namespace

Result<ClipSpec> ParseTransformersConfig(std::string_view config, std::string_view preprocessor,
                                         const std::string& name) {
  ONDINE_ASSIGN(const Json json, Section::Parse(config, name + "config.json"));
  const Section root(json, name + "config.json");
  ONDINE_ASSIGN(const std::string kind, root.String("model_type", ""));
  if (kind != "clip") return root.Unsupported("model_type", kind);
  ClipSpec spec;
  ONDINE_ASSIGN(spec.projection, root.Int("projection_dim", 512));

  const Section text = root.Part("text_config"), vision = root.Part("vision_config");
  TowerSpec text_fallback, image_fallback;
  text_fallback.width = 512;
  text_fallback.hidden = 2048;
  text_fallback.layers = 12;
  text_fallback.heads = 8;
  image_fallback.width = 768;
  image_fallback.hidden = 3072;
  image_fallback.layers = 12;
  image_fallback.heads = 12;
  ONDINE_ASSIGN(const TransformersTower text_tower, ReadTower(text, text_fallback));
  ONDINE_ASSIGN(const TransformersTower image_tower, ReadTower(vision, image_fallback));
  if (text_tower.activation != image_tower.activation) {
    return root.Unsupported("hidden_act", "another one in each tower");
  }
  spec.text = text_tower.spec;
  spec.image = image_tower.spec;
  spec.activation = text_tower.activation;
  ONDINE_TRY(CheckHeads(spec.text, name + "config.json"));
  ONDINE_TRY(CheckHeads(spec.image, name + "config.json"));
  ONDINE_ASSIGN(spec.vocabulary, text.Int("vocab_size", 49408));
  ONDINE_ASSIGN(spec.context, text.Int("max_position_embeddings", 77));
  ONDINE_ASSIGN(spec.image_size, vision.Int("image_size", 224));
  ONDINE_ASSIGN(spec.patch_size, vision.Int("patch_size", 32));
  ONDINE_TRY(ReadPreprocessor(preprocessor, name + "preprocessor_config.json", spec));
  return spec;
}

Result<ClipSpec> ParseOpenClipConfig(std::string_view config, const std::string& name) {
  ONDINE_ASSIGN(const Json json, Section::Parse(config, name));
  const Section root(json, name);
  const Section model = root.Part("model_cfg"), preprocess = root.Part("preprocess_cfg");
  const Section text = model.Part("text_cfg"), vision = model.Part("vision_cfg");
  // Towers of other kinds than ViT and the plain text transformer name what they are.
  for (const char* key : {"timm_model_name", "hf_model_name"}) {
    for (const Section* section : {&text, &vision}) {
      if (section->Has(key)) return section->Unsupported(key, (*section)[key].dump());
    }
  }
  // Switches that change what is computed and leave no trace in the tensors.
  for (const auto& [section, key, usual] :
       {std::tuple{&vision, "pool_type", "tok"}, std::tuple{&text, "pool_type", "argmax"}}) {
    ONDINE_ASSIGN(const std::string chosen, section->String(key, usual));
    if (chosen != usual) return section->Unsupported(key, chosen);
  }
  for (const auto& [section, key] :
       {std::pair{&vision, "final_ln_after_pool"}, std::pair{&text, "no_causal_mask"}}) {
    if (section->Flag(key, false)) return section->Unsupported(key, "true");
  }
  ClipSpec spec;
  ONDINE_ASSIGN(spec.projection, model.Int("embed_dim", std::nullopt));
  spec.activation =
      model.Flag("quick_gelu", false) ? ClipActivation::kQuickGelu : ClipActivation::kGelu;

  ONDINE_ASSIGN(spec.text.width, text.Int("width", 512));
  ONDINE_ASSIGN(spec.text.heads, text.Int("heads", 8));
  ONDINE_ASSIGN(spec.text.layers, text.Layers("layers", 12));
  ONDINE_ASSIGN(spec.text.hidden, text.Hidden(spec.text.width));
  ONDINE_ASSIGN(spec.vocabulary, text.Int("vocab_size", 49408));
  ONDINE_ASSIGN(spec.context, text.Int("context_length", 77));

  ONDINE_ASSIGN(spec.image.width, vision.Int("width", 768));
  ONDINE_ASSIGN(const int head_width, vision.Int("head_width", 64));
  spec.image.heads = std::max(1, spec.image.width / head_width);
  if (vision.Has("layers") && vision["layers"].is_array()) {
    return vision.Unsupported("layers", vision["layers"].dump());  // a ResNet
  }
  ONDINE_ASSIGN(spec.image.layers, vision.Layers("layers", 12));
  ONDINE_ASSIGN(spec.image.hidden, vision.Hidden(spec.image.width));
  ONDINE_ASSIGN(spec.image_size, vision.Int("image_size", 224));
  ONDINE_ASSIGN(spec.patch_size, vision.Int("patch_size", 16));
  ONDINE_TRY(CheckHeads(spec.text, name));
  ONDINE_TRY(CheckHeads(spec.image, name));

  ONDINE_ASSIGN(spec.mean, preprocess.Colour("mean", kMean, false));
  ONDINE_ASSIGN(spec.deviation, preprocess.Colour("std", kDeviation, true));
  ONDINE_ASSIGN(const std::string filter, preprocess.String("interpolation", "bicubic"));
  if (filter != "bicubic") return preprocess.Unsupported("interpolation", filter);
  ONDINE_ASSIGN(const std::string resize, preprocess.String("resize_mode", "shortest"));
  if (resize == "shortest") {
    spec.resize = ResizeMode::kShortestRounded;
  } else if (resize == "longest") {
    spec.resize = ResizeMode::kLongest;
  } else if (resize == "squash") {
    spec.resize = ResizeMode::kSquash;
  } else {
    return preprocess.Unsupported("resize_mode", resize);
  }
  ONDINE_ASSIGN(spec.fill, preprocess.Int("fill_color", 0, 0));
  if (spec.fill > 255) {
    return preprocess.Unsupported("fill_color", std::to_string(spec.fill));
  }
  return spec;
}

}  // namespace ondine::images
