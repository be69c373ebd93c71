#ifndef ONDINE_SRC_MODELS_NORM_H_
#define ONDINE_SRC_MODELS_NORM_H_

#include <span>
#include <vector>

namespace ondine::models {

struct NormWeights {
  std::vector<float> weight;  // [width]
  std::vector<float> bias;    // [width]; empty: an RMS norm
};

// LayerNorm, or RMS norm where there is no bias, of one row; out may be x.
void Normalize(const NormWeights& norm, float epsilon, std::span<const float> x,
               std::span<float> out);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_NORM_H_
