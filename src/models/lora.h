// Low-rank additions to a decoder's matrices (LoRA: Hu et al., ICLR 2022, arXiv 2106.09685),
// prepared like its weights.
#ifndef ONDINE_SRC_MODELS_LORA_H_
#define ONDINE_SRC_MODELS_LORA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/linear.h"
#include "models/decoder.h"

namespace ondine::models {

// y += up (down x), beside y = W x. Scales are already in `up`.
struct LowRank {
  compute::Linear down;  // in -> rank
  compute::Linear up;    // rank -> out
};

// Absent where a matrix stays as it is.
struct LoraLayer {
  std::optional<LowRank> query, key, value, output, gate, up, down;

  bool ChangesGate() const { return gate || up; }
};

struct Lora {
  std::int64_t rank = 0;  // of all additions
  std::vector<LoraLayer> layers;

  std::size_t bytes() const;
};

// The matrices of a layer that can have one.
enum class LoraSite { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };

struct LoraPlace {
  LoraSite site;
  std::string_view option;  // short, for users
  std::string_view tensor;  // in GGUF files, between "blk.<layer>." and ".weight"
  compute::Linear DecoderLayer::*weights;
  std::optional<LowRank> LoraLayer::*addition;
};
// In the order of LoraSite.
inline constexpr std::array kLoraPlaces = {
    LoraPlace{LoraSite::kQuery, "q", "attn_q", &DecoderLayer::query, &LoraLayer::query},
    LoraPlace{LoraSite::kKey, "k", "attn_k", &DecoderLayer::key, &LoraLayer::key},
    LoraPlace{LoraSite::kValue, "v", "attn_v", &DecoderLayer::value, &LoraLayer::value},
    LoraPlace{LoraSite::kOutput, "o", "attn_output", &DecoderLayer::output, &LoraLayer::output},
    LoraPlace{LoraSite::kGate, "gate", "ffn_gate", &DecoderLayer::gate, &LoraLayer::gate},
    LoraPlace{LoraSite::kUp, "up", "ffn_up", &DecoderLayer::up, &LoraLayer::up},
    LoraPlace{LoraSite::kDown, "down", "ffn_down", &DecoderLayer::down, &LoraLayer::down},
};
constexpr const LoraPlace& PlaceOf(LoraSite site) {
  return kLoraPlaces[static_cast<std::size_t>(site)];
}

// "blk.3.attn_q.weight"
std::string LoraTensorName(int layer, LoraSite site);

// A matrix that can have an addition.
struct LoraTarget {
  int layer = 0;
  const compute::Linear* weights = nullptr;
  std::optional<LowRank> LoraLayer::*addition = nullptr;
};
// By its tensor's name; nullopt where the decoder has
// no such matrix.
std::optional<LoraTarget> FindLoraTarget(const Decoder& decoder, std::string_view tensor);
// The names of all of them, for one layer: "attn_q", ...
std::vector<std::string> LoraTargetNames(const DecoderSpec& spec);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_LORA_H_
