// Where a task lies, by its questions alone.
#ifndef ONDINE_SRC_ADAPTERS_FEATURE_H_
#define ONDINE_SRC_ADAPTERS_FEATURE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "models/decoder.h"

namespace ondine::adapters {

// The mean over a prompt's tokens of the first layer's query projection, before rotation and
// without adapters, averaged over the prompts: [query width]. No token has seen another there, so
// it is the projection of the mean of the normed embeddings, and the order of tokens does not
// matter. Computed from dequantised rows in floats. Every prompt has a token, every id is valid.
std::vector<float> QueryFeature(const models::Decoder& decoder,
                                std::span<const std::vector<std::int32_t>> prompts);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_FEATURE_H_
