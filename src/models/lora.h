// Low-rank additions to a decoder's matrices (LoRA: Hu et al., ICLR 2022, arXiv 2106.09685),
// prepared like its weights.
#ifndef ONDINE_SRC_MODELS_LORA_H_
#define ONDINE_SRC_MODELS_LORA_H_

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

// A matrix that can have an addition.
struct LoraTarget {
  int layer = 0;
  const compute::Linear* weights = nullptr;
  std::optional<LowRank> LoraLayer::*addition = nullptr;
};
// By its tensor's name in GGUF files, such as "blk.3.attn_q.weight"; nullopt where the decoder has
// no such matrix.
std::optional<LoraTarget> FindLoraTarget(const Decoder& decoder, std::string_view tensor);
// The names of all of them, for one layer: "attn_q", ...
std::vector<std::string> LoraTargetNames();

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_LORA_H_
