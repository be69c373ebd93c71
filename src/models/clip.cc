#include "models/clip.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "base/try.h"
#include "models/tensor_reader.h"

namespace ondine::models {
namespace {

struct NamedMatrix {
  const char* name;
  CodeSite input;
  compute::Linear TowerLayer::*matrix;
  std::vector<float> TowerLayer::*bias;
};

constexpr std::array kAttentionMatrices = {
    NamedMatrix{"attn_q", CodeSite::kAttention, &TowerLayer::query, &TowerLayer::query_bias},
    NamedMatrix{"attn_k", CodeSite::kAttention, &TowerLayer::key, &TowerLayer::key_bias},
    NamedMatrix{"attn_v", CodeSite::kAttention, &TowerLayer::value, &TowerLayer::value_bias},
    NamedMatrix{"attn_out", CodeSite::kOutput, &TowerLayer::output, &TowerLayer::output_bias},
};
constexpr NamedMatrix kUp = {"ffn_up", CodeSite::kMlp, &TowerLayer::up, &TowerLayer::up_bias};
constexpr NamedMatrix kDown = {"ffn_down", CodeSite::kDown, &TowerLayer::down,
                               &TowerLayer::down_bias};

// `codes`: of a block with 8-bit matrices, else null.
Status LoadMatrix(const TensorReader& tensors, const std::string& name, const NamedMatrix& place,
                  const LayerCodes* codes, std::int64_t in, std::int64_t out, TowerLayer& layer) {
  const compute::StaticCode* code = codes == nullptr ? nullptr : &codes->at(place.input);
  ONDINE_ASSIGN(layer.*place.matrix, tensors.Matrix(name + ".weight", in, out, code));
  ONDINE_ASSIGN(layer.*place.bias, tensors.Vector(name + ".bias", out));
  return {};
}

// The first files of clip.cpp call the first matrix of the MLP "down".
bool HasSwappedMlp(const formats::GgufFile& file, const TowerSpec& spec,
                   const std::string& prefix) {
  const formats::GgufTensor* down = file.FindTensor(prefix + "ffn_down.weight");
  return spec.hidden != spec.width && down != nullptr && down->shape[0] == spec.width;
}

// `codes`: of the blocks, or none.
Result<Tower> LoadTower(const TowerSpec& spec, std::span<const LayerCodes> codes,
                        const formats::GgufFile& file, const TensorReader& tensors,
                        const std::string& section, std::int64_t positions,
                        const std::string& projection, int projected) {
  Tower tower;
  tower.spec = spec;
  ONDINE_ASSIGN(tower.positions,
                tensors.Matrix(section + ".position_embd.weight", spec.width, positions));
  ONDINE_ASSIGN(tower.final_norm, tensors.Norm(section + ".post_ln", spec.width, true));
  ONDINE_ASSIGN(tower.projection, tensors.Matrix(projection, spec.width, projected));
  for (int i = 0; i < spec.layers; ++i) {
    const std::string prefix = section + ".blk." + std::to_string(i) + ".";
    const LayerCodes* of_layer = codes.empty() ? nullptr : &codes[static_cast<std::size_t>(i)];
    TowerLayer layer;
    ONDINE_ASSIGN(layer.attention_norm, tensors.Norm(prefix + "ln1", spec.width, true));
    ONDINE_ASSIGN(layer.mlp_norm, tensors.Norm(prefix + "ln2", spec.width, true));
    for (const NamedMatrix& place : kAttentionMatrices) {
      ONDINE_TRY(
          LoadMatrix(tensors, prefix + place.name, place, of_layer, spec.width, spec.width, layer));
    }
    ONDINE_TRY(CheckReaders({&layer.query, &layer.key, &layer.value}, prefix + "*"));
    const bool swapped = HasSwappedMlp(file, spec, prefix);
    ONDINE_TRY(LoadMatrix(tensors, prefix + (swapped ? kDown : kUp).name, kUp, of_layer, spec.width,
                          spec.hidden, layer));
    ONDINE_TRY(LoadMatrix(tensors, prefix + (swapped ? kUp : kDown).name, kDown, of_layer,
                          spec.hidden, spec.width, layer));
    tower.layers.push_back(std::move(layer));
  }
  return tower;
}

std::size_t Bytes(const Tower& tower) {
  std::size_t total = tower.positions.bytes() + tower.projection.bytes();
  for (const TowerLayer& layer : tower.layers) {
    for (const NamedMatrix& place : kAttentionMatrices) total += (layer.*place.matrix).bytes();
    total += layer.up.bytes() + layer.down.bytes();
  }
  return total;
}

}  // namespace

Result<std::shared_ptr<const Clip>> Clip::Load(const formats::GgufFile& file,
                                               compute::ThreadPool& pool) {
  auto clip = std::make_shared<Clip>();
  ONDINE_ASSIGN(clip->spec_, ReadClipSpec(file));
  const ClipSpec& spec = clip->spec_;
  ONDINE_ASSIGN(clip->quantization_, ReadQuantization(file, spec.text.layers + spec.image.layers));
  std::span<const LayerCodes> text_codes, image_codes;
  if (clip->quantization_) {
    const auto text_layers = static_cast<std::size_t>(spec.text.layers);
    text_codes = std::span(clip->quantization_->layers).first(text_layers);
    image_codes = std::span(clip->quantization_->layers).subspan(text_layers);
  }
  const TensorReader tensors(file, pool);
  ONDINE_ASSIGN(clip->tokens_,
                tensors.Matrix("t.token_embd.weight", spec.text.width, spec.vocabulary));
  ONDINE_ASSIGN(clip->text_, LoadTower(spec.text, text_codes, file, tensors, "t", spec.context,
                                       "text_projection.weight", spec.projection));
  ONDINE_ASSIGN(clip->patches_,
                tensors.Convolution("v.patch_embd.weight",
                                    {spec.patch_size, spec.patch_size, 3, spec.image.width}));
  ONDINE_ASSIGN(clip->image_token_, tensors.Vector("v.class_embd", spec.image.width));
  ONDINE_ASSIGN(clip->patch_norm_, tensors.Norm("v.pre_ln", spec.image.width, true));
  ONDINE_ASSIGN(clip->image_,
                LoadTower(spec.image, image_codes, file, tensors, "v", spec.Patches() + 1,
                          "visual_projection.weight", spec.projection));
  return clip;
}

bool IsTowerMatrix(std::string_view tensor) {
  if (!tensor.starts_with("t.blk.") && !tensor.starts_with("v.blk.")) return false;
  const auto named = [&](const NamedMatrix& place) {
    return tensor.ends_with('.' + std::string(place.name) + ".weight");
  };
  return std::ranges::any_of(kAttentionMatrices, named) || named(kUp) || named(kDown);
}

std::size_t Clip::bytes() const {
  return tokens_.bytes() + patches_.bytes() + Bytes(text_) + Bytes(image_);
}

}  // namespace ondine::models
