#include "models/lora.h"

#include <array>
#include <charconv>

namespace ondine::models {
namespace {

struct Place {
  std::string_view name;
  compute::Linear DecoderLayer::*weights;
  std::optional<LowRank> LoraLayer::*addition;
};

constexpr std::array kPlaces = {
    Place{"attn_q", &DecoderLayer::query, &LoraLayer::query},
    Place{"attn_k", &DecoderLayer::key, &LoraLayer::key},
    Place{"attn_v", &DecoderLayer::value, &LoraLayer::value},
    Place{"attn_output", &DecoderLayer::output, &LoraLayer::output},
    Place{"ffn_gate", &DecoderLayer::gate, &LoraLayer::gate},
    Place{"ffn_up", &DecoderLayer::up, &LoraLayer::up},
    Place{"ffn_down", &DecoderLayer::down, &LoraLayer::down},
};

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::size_t Lora::bytes() const {
  std::size_t total = 0;
  for (const LoraLayer& layer : layers) {
    for (const Place& place : kPlaces) {
      if (const auto& addition = layer.*place.addition) {
        total += addition->down.bytes() + addition->up.bytes();
      }
    }
  }
  return total;
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
  for (const Place& place : kPlaces) {
    if (place.name != tensor) continue;
    target.weights = &(decoder.layers()[static_cast<std::size_t>(target.layer)].*place.weights);
    target.addition = place.addition;
    return target;
  }
  return std::nullopt;
}

std::vector<std::string> LoraTargetNames() {
  std::vector<std::string> names;
  names.reserve(kPlaces.size());
  for (const Place& place : kPlaces) names.emplace_back(place.name);
  return names;
}

}  // namespace ondine::models
