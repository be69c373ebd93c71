// Names of a layer's tensors: "blk.3.attn_q.weight".
#ifndef ONDINE_SRC_MODELS_LAYER_TENSOR_H_
#define ONDINE_SRC_MODELS_LAYER_TENSOR_H_

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ondine::models {

struct LayerTensor {
  std::size_t layer = 0;
  std::string_view name;  // "attn_q.weight"
};

// nullopt for the name of anything else.
inline std::optional<LayerTensor> ParseLayerTensor(std::string_view tensor) {
  constexpr std::string_view kPrefix = "blk.";
  if (!tensor.starts_with(kPrefix)) return std::nullopt;
  tensor.remove_prefix(kPrefix.size());
  LayerTensor parsed;
  const auto number = std::from_chars(tensor.data(), tensor.data() + tensor.size(), parsed.layer);
  if (number.ec != std::errc()) return std::nullopt;
  // "00" would be another name for the same layer.
  const std::string digits = std::to_string(parsed.layer) + ".";
  if (!tensor.starts_with(digits)) return std::nullopt;
  parsed.name = tensor.substr(digits.size());
  return parsed;
}

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_LAYER_TENSOR_H_
