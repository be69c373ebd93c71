#include "images/tiny_clip.h"

#include <cmath>
#include <fstream>
#include <span>
#include <utility>

#include "formats/safetensors_bytes.h"

namespace ondine::testing {
namespace {

constexpr const char* kMerges = "r e\nre d</w>\ns h\no e</w>\nsh oe</w>\n";
constexpr int kVocabulary = 512 + 5 + 2;

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

SafetensorsParts::Tensor Stored32(const TinyClip::Tensor& tensor) {
  return {"F32", tensor.shape, Stored(tensor.values)};
}

TinyClip::Tensor Transposed(const TinyClip::Tensor& tensor) {
  TinyClip::Tensor result{{tensor.shape[1], tensor.shape[0]}, tensor.values};
  for (std::int64_t r = 0; r < tensor.shape[0]; ++r) {
    for (std::int64_t c = 0; c < tensor.shape[1]; ++c) {
      result.values[static_cast<std::size_t>(c * tensor.shape[0] + r)] =
          tensor.values[static_cast<std::size_t>(r * tensor.shape[1] + c)];
    }
  }
  return result;
}

SafetensorsParts::Tensor LogitScale(float scale) {
  return {"F32", {}, Stored(std::vector<float>{std::log(scale)})};
}

// Replaces the first of these beginnings and parts that a name has.
std::string Renamed(std::string name,
                    const std::vector<std::pair<std::string, std::string>>& changes) {
  for (const auto& [from, to] : changes) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  }
  return name;
}

}  // namespace

TinyClip::TinyClip(models::ClipActivation activation, std::uint32_t seed) : state_(seed) {
  vocabulary_ = *text::ClipVocabulary::FromMerges(kMerges, kVocabulary, "merges");
  spec_.name = "tiny";
  spec_.projection = 24;
  spec_.activation = activation;
  spec_.logit_scale = 50;
  spec_.text = {2, 32, 2, 48, 1e-5f};
  spec_.vocabulary = kVocabulary;
  spec_.context = 12;
  spec_.image = {2, 48, 3, 64, 1e-5f};
  spec_.image_size = 32;
  spec_.patch_size = 8;
  spec_.mean = {0.4f, 0.5f, 0.6f};
  spec_.deviation = {0.2f, 0.25f, 0.3f};
  Add("t.token_embd.weight", {kVocabulary, spec_.text.width}, 0.5f);
  AddTower(spec_.text, "t", spec_.context);
  Add("text_projection.weight", {spec_.projection, spec_.text.width}, 0.2f);
  Add("v.class_embd", {spec_.image.width}, 0.5f);
  Add("v.patch_embd.weight", {spec_.image.width, 3, spec_.patch_size, spec_.patch_size}, 0.1f);
  Add("v.pre_ln.weight", {spec_.image.width}, 0.2f, 1);
  Add("v.pre_ln.bias", {spec_.image.width}, 0.1f);
  AddTower(spec_.image, "v", spec_.Patches() + 1);
  Add("visual_projection.weight", {spec_.projection, spec_.image.width}, 0.2f);
}

void TinyClip::AddTower(const models::TowerSpec& spec, const std::string& section,
                        std::int64_t positions) {
  Add(section + ".position_embd.weight", {positions, spec.width}, 0.3f);
  Add(section + ".post_ln.weight", {spec.width}, 0.2f, 1);
  Add(section + ".post_ln.bias", {spec.width}, 0.1f);
  for (int i = 0; i < spec.layers; ++i) {
    const std::string block = section + ".blk." + std::to_string(i) + ".";
    for (const char* norm : {"ln1", "ln2"}) {
      Add(block + norm + ".weight", {spec.width}, 0.2f, 1);
      Add(block + norm + ".bias", {spec.width}, 0.1f);
    }
    for (const char* matrix : {"attn_q", "attn_k", "attn_v", "attn_out"}) {
      Add(block + matrix + ".weight", {spec.width, spec.width}, 0.25f);
      Add(block + matrix + ".bias", {spec.width}, 0.1f);
    }
    Add(block + "ffn_up.weight", {spec.hidden, spec.width}, 0.2f);
    Add(block + "ffn_up.bias", {spec.hidden}, 0.1f);
    Add(block + "ffn_down.weight", {spec.width, spec.hidden}, 0.2f);
    Add(block + "ffn_down.bias", {spec.width}, 0.1f);
  }
}

// Sums of uniform numbers, the same on every machine.
void TinyClip::Add(const std::string& name, std::vector<std::int64_t> shape, float deviation,
                   float mean) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  Tensor tensor{std::move(shape), std::vector<float>(count)};
  for (float& value : tensor.values) {
    float sum = 0;
    for (int i = 0; i < 3; ++i) {
      state_ = state_ * 1664525u + 1013904223u;
      sum += static_cast<float>(state_ >> 8) / static_cast<float>(1 << 24) - 0.5f;
    }
    value = mean + deviation * 2 * sum;
  }
  tensors_[name] = std::move(tensor);
}

Status TinyClip::WriteGguf(const std::string& path) const {
  formats::GgufWriter writer;
  models::WriteClipSpec(spec_, writer);
  vocabulary_.Write(writer);
  for (const auto& [name, tensor] : tensors_) {
    const std::vector<std::int64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
    writer.Add(name, formats::TensorType::kF32, shape, std::as_bytes(std::span(tensor.values)));
  }
  return writer.Write(path);
}

void TinyClip::WriteTransformers(const std::string& folder) const {
  SafetensorsParts file;
  for (const auto& [name, tensor] : tensors_) {
    const std::string theirs =
        Renamed(name, {{"t.blk.", "text_model.encoder.layers."},
                       {"v.blk.", "vision_model.encoder.layers."},
                       {"t.token_embd", "text_model.embeddings.token_embedding"},
                       {"t.position_embd", "text_model.embeddings.position_embedding"},
                       {"t.post_ln", "text_model.final_layer_norm"},
                       {"v.class_embd", "vision_model.embeddings.class_embedding"},
                       {"v.patch_embd", "vision_model.embeddings.patch_embedding"},
                       {"v.position_embd", "vision_model.embeddings.position_embedding"},
                       {"v.pre_ln", "vision_model.pre_layrnorm"},
                       {"v.post_ln", "vision_model.post_layernorm"},
                       {".ln1.", ".layer_norm1."},
                       {".ln2.", ".layer_norm2."},
                       {"attn_q", "self_attn.q_proj"},
                       {"attn_k", "self_attn.k_proj"},
                       {"attn_v", "self_attn.v_proj"},
                       {"attn_out", "self_attn.out_proj"},
                       {"ffn_up", "mlp.fc1"},
                       {"ffn_down", "mlp.fc2"}});
    file.tensors[theirs] = Stored32(tensor);
  }
  file.tensors["logit_scale"] = LogitScale(spec_.logit_scale);
  file.tensors["text_model.embeddings.position_ids"] = {"I64", {1, 1}, std::string(8, '\0')};
  WriteFile(folder + "/model.safetensors", file.Bytes());
  WriteFile(folder + "/merges.txt", std::string("#version: 0.2\n") + kMerges);
  const std::string activation =
      spec_.activation == models::ClipActivation::kGelu ? "gelu" : "quick_gelu";
  WriteFile(folder + "/config.json",
            R"({"model_type": "clip", "projection_dim": 24,
  "text_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "vocab_size": 519, "max_position_embeddings": 12, "hidden_act": ")" +
                activation + R"("},
  "vision_config": {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 3, "image_size": 32, "patch_size": 8, "hidden_act": ")" +
                activation + R"("}})");
  WriteFile(folder + "/preprocessor_config.json",
            R"({"do_center_crop": true, "crop_size": {"height": 32, "width": 32}, "resample": 3,
  "size": {"shortest_edge": 32}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]})");
}

void TinyClip::WriteOpenClip(const std::string& folder) const {
  SafetensorsParts file;
  for (const auto& [name, tensor] : tensors_) {
    if (name.find("attn_k.") != name.npos || name.find("attn_v.") != name.npos) continue;
    std::string theirs = Renamed(name, {{"t.blk.", "transformer.resblocks."},
                                        {"v.blk.", "visual.transformer.resblocks."},
                                        {"t.token_embd", "token_embedding"},
                                        {"t.position_embd.weight", "positional_embedding"},
                                        {"t.post_ln", "ln_final"},
                                        {"text_projection.weight", "text_projection"},
                                        {"v.class_embd", "visual.class_embedding"},
                                        {"v.patch_embd", "visual.conv1"},
                                        {"v.position_embd.weight", "visual.positional_embedding"},
                                        {"v.pre_ln", "visual.ln_pre"},
                                        {"v.post_ln", "visual.ln_post"},
                                        {"visual_projection.weight", "visual.proj"},
                                        {".ln1.", ".ln_1."},
                                        {".ln2.", ".ln_2."},
                                        {"attn_q.", "attn.in_proj_"},
                                        {"attn_out", "attn.out_proj"},
                                        {"ffn_up", "mlp.c_fc"},
                                        {"ffn_down", "mlp.c_proj"}});
    Tensor stored =
        theirs.ends_with("proj") || theirs == "text_projection" ? Transposed(tensor) : tensor;
    if (const std::size_t at = name.find("attn_q."); at != name.npos) {
      for (const char* part : {"attn_k.", "attn_v."}) {
        const Tensor& more = tensors_.at(Renamed(name, {{"attn_q.", part}}));
        stored.shape[0] += more.shape[0];
        stored.values.insert(stored.values.end(), more.values.begin(), more.values.end());
      }
    }
    file.tensors[theirs] = Stored32(stored);
  }
  file.tensors["logit_scale"] = LogitScale(spec_.logit_scale);
  WriteFile(folder + "/open_clip_model.safetensors", file.Bytes());
  WriteFile(
      folder + "/tokenizer.json",
      R"({"model": {"merges": [["r", "e"], "re d</w>", "s h", ["o", "e</w>"], "sh oe</w>"]}})");
  WriteFile(folder + "/open_clip_config.json",
            R"({"model_cfg": {"embed_dim": 24, "quick_gelu": )" +
                std::string(spec_.activation == models::ClipActivation::kGelu ? "false" : "true") +
                R"(,
  "vision_cfg": {"image_size": 32, "layers": 2, "width": 48, "patch_size": 8, "head_width": 16,
    "mlp_ratio": 1.3333334},
  "text_cfg": {"context_length": 12, "vocab_size": 519, "width": 32, "heads": 2, "layers": 2,
    "mlp_ratio": 1.5}},
  "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3],
    "interpolation": "bicubic", "resize_mode": "shortest"}})");
}

std::vector<std::uint8_t> TinyPixels(std::uint32_t seed) {
  std::vector<std::uint8_t> pixels(32 * 32 * 3);
  for (std::uint8_t& value : pixels) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<std::uint8_t>(seed >> 24);
  }
  return pixels;
}

}  // namespace ondine::testing
