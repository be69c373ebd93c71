#include "models/lora.h"

#include "models/layer_tensor.h"

namespace ondine::models {

std::size_t Lora::bytes() const {
  std::size_t total = 0;
  for (const LoraLayer& layer : layers) {
    for (const LoraPlace& place : kLoraPlaces) {
      if (const auto& addition = layer.*place.addition) {
        total += addition->down.bytes() + addition->up.bytes();
      }
    }
  }
  return total;
}

std::string LoraTensorName(int layer, LoraSite site) {
  return "blk." + std::to_string(layer) + "." + std::string(PlaceOf(site).tensor) + ".weight";
}

std::optional<LoraTarget> FindLoraTarget(const Decoder& decoder, std::string_view tensor) {
  const auto parsed = ParseLayerTensor(tensor);
  constexpr std::string_view kSuffix = ".weight";
  if (!parsed || parsed->layer >= decoder.layers().size() || !parsed->name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  const std::string_view name = parsed->name.substr(0, parsed->name.size() - kSuffix.size());
  LoraTarget target;
  target.layer = static_cast<int>(parsed->layer);
  for (const LoraPlace& place : kLoraPlaces) {
    if (place.tensor != name) continue;
    target.weights = &(decoder.layers()[parsed->layer].*place.weights);
    if (!target.weights->present()) return std::nullopt;
    target.addition = place.addition;
    return target;
  }
  return std::nullopt;
}

std::vector<std::string> LoraTargetNames(const DecoderSpec& spec) {
  std::vector<std::string> names;
  for (const LoraPlace& place : kLoraPlaces) {
    if (place.site != LoraSite::kGate || spec.gated) names.emplace_back(place.tensor);
  }
  return names;
}

}  // namespace ondine::models
