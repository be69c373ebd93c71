// Where a task lies, by its questions alone.
#ifndef ONDINE_SRC_ADAPTERS_FEATURE_H_
#define ONDINE_SRC_ADAPTERS_FEATURE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/decoder.h"

namespace ondine::adapters {

// Reads features of prompts with one decoder. Immutable after it is made.
class FeatureReader {
 public:
  // Keeps the first layer's query projection in floats: 4 bytes for each of its elements.
  explicit FeatureReader(std::shared_ptr<const models::Decoder> decoder);

  // The mean over a prompt's tokens of the first layer's query projection, before rotation and
  // without adapters, averaged over the prompts: [query width]. No token has seen another there, so
  // it is the projection of the mean of the normed embeddings, and the order of tokens does not
  // matter. Computed from dequantised rows in floats. Every prompt has a token, every id is valid.
  std::vector<float> Read(std::span<const std::vector<std::int32_t>> prompts) const;

 private:
  std::shared_ptr<const models::Decoder> decoder_;
  std::vector<float> query_;  // [query width][width]
};

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_FEATURE_H_
