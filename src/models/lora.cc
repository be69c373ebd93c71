#include "models/lora.h"

#include <charconv>

namespace ondine::models {
namespace {

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

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
  if (!TakePrefix(tensor, "blk.") || !tensor.ends_with(".weight")) return std::nullopt;
  tensor.remove_suffix(std::string_view(".weight").size());
  LoraTarget target;
  const auto number = std::from_chars(tensor.data(), tensor.data() + tensor.size(), target.layer);
  if (number.ec != std::errc() || target.layer < 0 || target.layer >= decoder.spec().layers) {
    return std::nullopt;
  }
  // "00" would be another name for the same matrix.
  if (!tensor.starts_with(std::to_string(target.layer) + ".")) return std::nullopt;
  tensor.remove_prefix(static_cast<std::size_t>(number.ptr - tensor.data()));
  if (!TakePrefix(tensor, ".")) return std::nullopt;
  for (const LoraPlace& place : kLoraPlaces) {
    if (place.tensor != tensor) continue;
    target.weights = &(decoder.layers()[static_cast<std::size_t>(target.layer)].*place.weights);
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
