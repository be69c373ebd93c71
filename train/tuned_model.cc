#include "train/tuned_model.h"

#include <span>

#include "base/try.h"

namespace ondine::train {
namespace {

// The tuned weights that make up a tensor: three where it holds those of queries, keys and values;
// none where it was not tuned.
std::vector<const std::vector<float>*> PartsOf(const std::string& tensor,
                                               const TunedWeights& weights) {
  constexpr std::string_view kFused = "attn_qkv.";
  std::vector<std::string> names = {tensor};
  if (const std::size_t at = tensor.find(kFused); at != std::string::npos) {
    const std::string prefix = tensor.substr(0, at), kind = tensor.substr(at + kFused.size());
    names = {prefix + "attn_q." + kind, prefix + "attn_k." + kind, prefix + "attn_v." + kind};
  }
  std::vector<const std::vector<float>*> parts;
  for (const std::string& name : names) {
    if (const auto found = weights.find(name); found != weights.end()) {
      parts.push_back(&found->second);
    }
  }
  return parts;
}

}  // namespace

Status WriteTunedModel(const formats::GgufFile& file, const TunedWeights& weights,
                       const std::string& path) {
  formats::GgufWriter writer;
  for (const auto& [key, value] : file.metadata()) {
    // What llama.cpp calls the type of most weights is another one now.
    if (key != "general.file_type") writer.Set(key, value);
  }
  for (const formats::GgufTensor& tensor : file.tensors()) {
    const std::span shape(tensor.shape.data(), static_cast<std::size_t>(tensor.dims));
    const auto parts = PartsOf(tensor.name, weights);
    if (parts.empty()) {
      writer.Add(tensor.name, tensor.type, shape, tensor.data);
      continue;
    }
    writer.Add(tensor.name, formats::TensorType::kF32, shape,
               [parts](base::FileSink& sink) -> Status {
                 for (const std::vector<float>* part : parts) {
                   ONDINE_TRY(sink.Write(std::as_bytes(std::span(*part))));
                 }
                 return {};
               });
  }
  return writer.Write(path);
}

}  // namespace ondine::train
