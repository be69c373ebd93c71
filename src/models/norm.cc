#include "models/norm.h"

#include "compute/elementwise.h"

namespace ondine::models {

void Normalize(const NormWeights& norm, float epsilon, std::span<const float> x,
               std::span<float> out) {
  if (norm.bias.empty()) {
    compute::RmsNorm(x, norm.weight, epsilon, out);
  } else {
    compute::LayerNorm(x, norm.weight, norm.bias, epsilon, out);
  }
}

}  // namespace ondine::models
