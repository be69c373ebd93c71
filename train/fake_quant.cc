#include "train/fake_quant.h"

namespace ondine::train {
namespace {

using torch::Tensor;

Tensor Rounded(const Tensor& x) {
  return x + (torch::round(x) - x).detach();
}

double Largest(int bits) {
  return (1 << bits) - 1;
}

}  // namespace

Tensor CodeScale(const Tensor& low, const Tensor& high, int bits) {
  const Tensor scale = (high - low) / Largest(bits);
  // An empty range: as in quant::CodeOf.
  return torch::where(scale > 1e-30, scale, torch::ones_like(scale));
}

FakeCodes FakeCode(const Tensor& x, const Tensor& low, const Tensor& high, int bits) {
  const Tensor scale = CodeScale(low, high, bits);
  const Tensor zero = torch::clamp(Rounded(-low / scale), 0, Largest(bits));
  const Tensor steps =
      Rounded(torch::minimum(torch::maximum(x * scale.reciprocal(), -zero), Largest(bits) - zero));
  return {steps, scale};
}

FakeCodes FakeWeights(const Tensor& weights, int bits, bool per_channel) {
  const double largest = Largest(bits - 1);
  const Tensor magnitude = weights.abs();
  const Tensor scale = (per_channel ? magnitude.amax(1, true) : magnitude.max()) / largest;
  const Tensor divisor = torch::where(scale > 0, scale, torch::ones_like(scale));
  return {torch::clamp(Rounded(weights / divisor), -largest, largest), scale};
}

}  // namespace ondine::train
