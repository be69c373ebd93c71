#include "train/fake_quant.h"

namespace ondine::train {
namespace {

using torch::Tensor;

Tensor Rounded(const Tensor& x) {
  return x + (torch::round(x) - x).detach();
}

}  // namespace

Tensor FakeCode(const Tensor& x, const Tensor& low, const Tensor& high, int bits) {
  const double largest = (1 << bits) - 1;
  Tensor scale = (high - low) / largest;
  // An empty range: as in quant::CodeOf.
  scale = torch::where(scale > 1e-30, scale, torch::ones_like(scale));
  const Tensor zero = torch::clamp(Rounded(-low / scale), 0, largest);
  const Tensor steps =
      Rounded(torch::minimum(torch::maximum(x * scale.reciprocal(), -zero), largest - zero));
  return steps * scale;
}

Tensor FakeWeights(const Tensor& weights, int bits, bool per_channel) {
  const double largest = (1 << (bits - 1)) - 1;
  const Tensor magnitude = weights.abs();
  const Tensor scale = (per_channel ? magnitude.amax(1, true) : magnitude.max()) / largest;
  const Tensor divisor = torch::where(scale > 0, scale, torch::ones_like(scale));
  return torch::clamp(Rounded(weights / divisor), -largest, largest) * scale;
}

}  // namespace ondine::train
