#include "images/clip_checkpoint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/quote.h"
#include "base/try.h"
#include "compute/half.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "images/clip_config.h"
#include "models/tensor_floats.h"
#include "text/clip_tokenizer.h"

namespace ondine::images {
namespace {

using formats::TensorType;
using models::ClipSpec;
using models::TowerSpec;
using Shape = std::vector<std::int64_t>;  // outermost dimension first, as in safetensors

// How a tensor of ours is made of the one it comes from.
enum class Form { kWhole, kTransposed, kFirstThird, kSecondThird, kLastThird };

struct Names {
  std::string ours, theirs;
  Shape shape;  // of ours
  Form form;
};

// What the two programs call the parts of a block.
struct BlockNames {
  const char *norm1, *norm2, *query, *key, *value, *output, *up, *down;
  bool joined;  // query, key and value are one tensor, whose name has no dot before its kind
};
constexpr BlockNames kTransformers = {"layer_norm1",      "layer_norm2",      "self_attn.q_proj",
                                      "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj",
                                      "mlp.fc1",          "mlp.fc2",          false};
constexpr BlockNames kOpenClip = {"ln_1",          "ln_2",          "attn.in_proj_",
                                  "attn.in_proj_", "attn.in_proj_", "attn.out_proj",
                                  "mlp.c_fc",      "mlp.c_proj",    true};

class NameList {
 public:
  NameList(const ClipSpec& spec, bool open_clip);
  const std::vector<Names>& all() const { return all_; }

 private:
  void Add(std::string ours, std::string theirs, Shape shape, Form form = Form::kWhole) {
    all_.push_back({std::move(ours), std::move(theirs), std::move(shape), form});
  }
  void AddNorm(const std::string& ours, const std::string& theirs, std::int64_t width) {
    Add(ours + ".weight", theirs + ".weight", {width});
    Add(ours + ".bias", theirs + ".bias", {width});
  }
  void AddBlocks(const TowerSpec& spec, const std::string& ours, const std::string& theirs,
                 const BlockNames& names);

  std::vector<Names> all_;
};

void NameList::AddBlocks(const TowerSpec& spec, const std::string& ours, const std::string& theirs,
                         const BlockNames& names) {
  const std::int64_t width = spec.width, hidden = spec.hidden;
  struct Part {
    const char* ours;
    const char* theirs;
    std::int64_t out, in;
    Form joined;
  };
  const std::array parts = {
      Part{"attn_q", names.query, width, width, Form::kFirstThird},
      Part{"attn_k", names.key, width, width, Form::kSecondThird},
      Part{"attn_v", names.value, width, width, Form::kLastThird},
      Part{"attn_out", names.output, width, width, Form::kWhole},
      Part{"ffn_up", names.up, hidden, width, Form::kWhole},
      Part{"ffn_down", names.down, width, hidden, Form::kWhole},
  };
  for (int i = 0; i < spec.layers; ++i) {
    const std::string to = ours + std::to_string(i) + ".";
    const std::string from = theirs + std::to_string(i) + ".";
    AddNorm(to + "ln1", from + names.norm1, width);
    AddNorm(to + "ln2", from + names.norm2, width);
    for (const Part& part : parts) {
      const Form form = names.joined ? part.joined : Form::kWhole;
      const std::string name = to + part.ours;
      std::string source = from + part.theirs;
      if (form == Form::kWhole) source += '.';
      Add(name + ".weight", source + "weight", {part.out, part.in}, form);
      Add(name + ".bias", source + "bias", {part.out}, form);
    }
  }
}

NameList::NameList(const ClipSpec& spec, bool open_clip) {
  const std::int64_t text = spec.text.width, image = spec.image.width, patch = spec.patch_size;
  const Shape positions = {spec.context, text}, places = {spec.Patches() + 1, image};
  const Shape from_text = {spec.projection, text}, from_image = {spec.projection, image};
  if (open_clip) {
    Add("t.token_embd.weight", "token_embedding.weight", {spec.vocabulary, text});
    Add("t.position_embd.weight", "positional_embedding", positions);
    AddBlocks(spec.text, "t.blk.", "transformer.resblocks.", kOpenClip);
    AddNorm("t.post_ln", "ln_final", text);
    Add("text_projection.weight", "text_projection", from_text, Form::kTransposed);
    Add("v.class_embd", "visual.class_embedding", {image});
    Add("v.patch_embd.weight", "visual.conv1.weight", {image, 3, patch, patch});
    Add("v.position_embd.weight", "visual.positional_embedding", places);
    AddNorm("v.pre_ln", "visual.ln_pre", image);
    AddBlocks(spec.image, "v.blk.", "visual.transformer.resblocks.", kOpenClip);
    AddNorm("v.post_ln", "visual.ln_post", image);
    Add("visual_projection.weight", "visual.proj", from_image, Form::kTransposed);
    return;
  }
  const std::string of_text = "text_model.", of_image = "vision_model.";
  Add("t.token_embd.weight", of_text + "embeddings.token_embedding.weight",
      {spec.vocabulary, text});
  Add("t.position_embd.weight", of_text + "embeddings.position_embedding.weight", positions);
  AddBlocks(spec.text, "t.blk.", of_text + "encoder.layers.", kTransformers);
  AddNorm("t.post_ln", of_text + "final_layer_norm", text);
  Add("text_projection.weight", "text_projection.weight", from_text);
  Add("v.class_embd", of_image + "embeddings.class_embedding", {image});
  Add("v.patch_embd.weight", of_image + "embeddings.patch_embedding.weight",
      {image, 3, patch, patch});
  Add("v.position_embd.weight", of_image + "embeddings.position_embedding.weight", places);
  AddNorm("v.pre_ln", of_image + "pre_layrnorm", image);  // transformers misspells it
  AddBlocks(spec.image, "v.blk.", of_image + "encoder.layers.", kTransformers);
  AddNorm("v.post_ln", of_image + "post_layernorm", image);
  Add("visual_projection.weight", "visual_projection.weight", from_image);
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// The files that hold a large checkpoint's tensors, as its index names them.
Result<std::set<std::string>> ReadShards(const std::string& path) {
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  std::set<std::string> files;
  if (json.is_object() && json.contains("weight_map") && json["weight_map"].is_object()) {
    for (const nlohmann::json& file : json["weight_map"]) {
      const std::string name = file.is_string() ? file.get<std::string>() : "";
      if (name.empty() || name.find('/') != std::string::npos) {
        return MakeError(ErrorCode::kCorrupt, "names a file that is none in this folder", path);
      }
      files.insert(name);
    }
  }
  if (files.empty()) return MakeError(ErrorCode::kCorrupt, "names no files of tensors", path);
  return files;
}

class Checkpoint {
 public:
  // Of one file, or of several that `name`.index.json lists.
  static Result<Checkpoint> Open(const std::string& folder, const std::string& name) {
    std::set<std::string> names = {name};
    const std::string index = folder + name + ".index.json";
    if (!Exists(folder + name) && Exists(index)) {
      ONDINE_ASSIGN(names, ReadShards(index));
    } else if (!Exists(folder + name) && Exists(folder + "pytorch_model.bin")) {
      return MakeError(
          ErrorCode::kUnsupported,
          "holds pytorch_model.bin, which only Python can read: load it with "
          "transformers and save it with save_pretrained(..., safe_serialization=True)",
          folder);
    }
    Checkpoint checkpoint;
    for (const std::string& file : names) {
      ONDINE_ASSIGN(checkpoint.files_.emplace_back(),
                    formats::SafetensorsFile::Open(folder + file));
    }
    return checkpoint;
  }

  // What is left over would have been part of the computation. Positions' numbers and masks, which
  // older programs save as well, are not.
  Status CheckAllUsed(const NameList& list) const {
    std::set<std::string> known = {"logit_scale"};
    for (const Names& names : list.all()) known.insert(names.theirs);
    for (const formats::SafetensorsFile& file : files_) {
      for (const formats::SafetensorsTensor& tensor : file.tensors()) {
        if (known.contains(tensor.name) || tensor.name.ends_with("position_ids") ||
            tensor.name == "attn_mask") {
          continue;
        }
        return MakeError(ErrorCode::kUnsupported,
                         "the tensor " + base::Quote(tensor.name) +
                             " has no place in a CLIP of this configuration",
                         file.path());
      }
    }
    return {};
  }

  // The elements of one of our tensors, in our order.
  Result<std::vector<float>> Read(const Names& names) const {
    ONDINE_ASSIGN(const Place found, Find(names.theirs));
    const formats::SafetensorsTensor* tensor = found.tensor;
    const std::string place = found.file->path() + ", tensor " + names.theirs;
    Shape shape = names.shape;
    const bool transposed = names.form == Form::kTransposed;
    const bool whole = names.form == Form::kWhole;
    if (transposed) std::swap(shape[0], shape[1]);
    if (!transposed && !whole) shape[0] *= 3;
    if (tensor->shape != shape) {
      return MakeError(ErrorCode::kCorrupt, "has a shape that does not fit the configuration",
                       place);
    }
    ONDINE_ASSIGN(std::vector<float> values, found.file->Floats(*tensor));
    ONDINE_TRY(models::CheckFinite(values, place));
    if (transposed) return Transposed(values, shape[0], shape[1]);
    if (!whole) {
      const std::size_t third = values.size() / 3;
      const auto index =
          static_cast<std::size_t>(names.form) - static_cast<std::size_t>(Form::kFirstThird);
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(index * third);
      return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(third));
    }
    return values;
  }

  // The factor of cosines, of which checkpoints hold the logarithm.
  Result<float> LogitScale() const {
    ONDINE_ASSIGN(const Place found, Find("logit_scale"));
    ONDINE_ASSIGN(const std::vector<float> values, found.file->Floats(*found.tensor));
    if (values.size() != 1 || !std::isfinite(std::exp(values.front()))) {
      return MakeError(ErrorCode::kCorrupt, "is no number",
                       found.file->path() + ", tensor logit_scale");
    }
    return std::exp(values.front());
  }

 private:
  struct Place {
    const formats::SafetensorsFile* file;
    const formats::SafetensorsTensor* tensor;
  };

  static std::vector<float> Transposed(const std::vector<float>& values, std::int64_t rows,
                                       std::int64_t columns) {
    std::vector<float> result(values.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        result[static_cast<std::size_t>(c * rows + r)] =
            values[static_cast<std::size_t>(r * columns + c)];
      }
    }
    return result;
  }

  Result<Place> Find(const std::string& name) const {
    for (const formats::SafetensorsFile& file : files_) {
      const auto found =
          std::ranges::lower_bound(file.tensors(), name, {}, &formats::SafetensorsTensor::name);
      if (found != file.tensors().end() && found->name == name) return Place{&file, &*found};
    }
    return MakeError(ErrorCode::kNotFound, "the tensor " + name + " is missing",
                     files_.front().path());
  }

  std::vector<formats::SafetensorsFile> files_;
};

// One merge a line, from merges.txt or tokenizer.json, whose merges are texts or pairs.
Result<std::string> ReadMerges(const std::string& folder) {
  if (Exists(folder + "merges.txt")) return base::ReadFile(folder + "merges.txt");
  const std::string path = folder + "tokenizer.json";
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const nlohmann::json::json_pointer place("/model/merges");
  if (!json.is_object() || !json.contains(place) || !json.at(place).is_array()) {
    return MakeError(ErrorCode::kCorrupt, "holds no merges", path);
  }
  std::string merges;
  for (const nlohmann::json& merge : json.at(place)) {
    const bool pair =
        merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
    if (!pair && !merge.is_string()) {
      return MakeError(ErrorCode::kCorrupt, "holds a merge that is none", path);
    }
    merges += pair ? merge[0].get<std::string>() + ' ' + merge[1].get<std::string>()
                   : merge.get<std::string>();
    merges += '\n';
  }
  return merges;
}

Result<ClipSpec> ReadConfig(const std::string& folder, bool open_clip) {
  const std::string path = folder + (open_clip ? "open_clip_config.json" : "config.json");
  ONDINE_ASSIGN(const std::string config, base::ReadFile(path));
  if (open_clip) return ParseOpenClipConfig(config, path);
  std::string preprocessor;
  if (Exists(folder + "preprocessor_config.json")) {
    ONDINE_ASSIGN(preprocessor, base::ReadFile(folder + "preprocessor_config.json"));
  }
  return ParseTransformersConfig(config, preprocessor, folder);
}

// One of our tensors, made while the file is written, so that few are in memory.
Status WriteTensor(const Checkpoint& checkpoint, const Names& names, TensorType type,
                   base::FileSink& sink) {
  ONDINE_ASSIGN(const std::vector<float> values, checkpoint.Read(names));
  if (type == TensorType::kF32) return sink.Write(std::as_bytes(std::span(values)));
  const float largest = type == TensorType::kF16 ? 65504.0f : 3.3895e38f;
  for (const float value : values) {
    if (std::fabs(value) > largest) {
      return MakeError(ErrorCode::kCorrupt, "holds a number too large for 16 bits; use F32",
                       "tensor " + names.theirs);
    }
  }
  const std::vector<std::uint16_t> halves =
      type == TensorType::kF16 ? compute::ToHalves(values) : compute::ToBFloat16(values);
  return sink.Write(std::as_bytes(std::span(halves)));
}

}  // namespace

Result<ClipSpec> ConvertClip(const std::string& path, const std::string& output, TensorType type) {
  const std::string folder = path.ends_with('/') ? path : path + "/";
  const bool open_clip =
      Exists(folder + "open_clip_config.json") && !Exists(folder + "model.safetensors");
  ONDINE_ASSIGN(ClipSpec spec, ReadConfig(folder, open_clip));
  std::error_code ignored;
  const auto whole = std::filesystem::weakly_canonical(folder, ignored);
  spec.name = (ignored ? std::filesystem::path(folder).parent_path() : whole).filename().string();
  ONDINE_ASSIGN(
      const Checkpoint checkpoint,
      Checkpoint::Open(folder, open_clip ? "open_clip_model.safetensors" : "model.safetensors"));
  ONDINE_ASSIGN(spec.logit_scale, checkpoint.LogitScale());
  ONDINE_ASSIGN(const std::string merges, ReadMerges(folder));
  ONDINE_ASSIGN(const text::ClipVocabulary vocabulary,
                text::ClipVocabulary::FromMerges(merges, spec.vocabulary, folder + "merges"));

  formats::GgufWriter writer;
  models::WriteClipSpec(spec, writer);
  vocabulary.Write(writer);
  const NameList list(spec, open_clip);
  ONDINE_TRY(checkpoint.CheckAllUsed(list));
  for (const Names& names : list.all()) {
    const TensorType stored = names.shape.size() > 1 ? type : TensorType::kF32;
    const Shape shape(names.shape.rbegin(), names.shape.rend());
    writer.Add(names.ours, stored, shape, [&checkpoint, names, stored](base::FileSink& sink) {
      return WriteTensor(checkpoint, names, stored, sink);
    });
  }
  ONDINE_TRY(writer.Write(output));
  return spec;
}

}  // namespace ondine::images
