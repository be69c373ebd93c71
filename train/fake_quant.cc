#include "train/fake_quant.h"

#include "train/fused_codes.h"

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

FakeCodes FakeCode(const Tensor& x, const Tensor& low, const Tensor& high, int bits,
                   bool keeps_outliers) {
  const Tensor scale = CodeScale(low, high, bits);
  const Tensor zero = torch::clamp(Rounded(-low / scale), 0, Largest(bits));
  const auto steps = x.is_cpu() ? FusedSteps : ComposedSteps;
  return {steps(x, scale, zero, Largest(bits), keeps_outliers), scale};
}

std::pair<Tensor, Tensor> RangeWithoutOutliers(const Tensor& x, double share) {
  const torch::NoGradGuard no_gradient;
  constexpr std::int64_t kMostSamples = 1 << 15;
  // Odd, so that rows of an even width give all their channels in turn.
  const std::int64_t stride = x.numel() <= kMostSamples ? 1 : x.numel() / kMostSamples | 1;
  const Tensor sorted =
      std::get<0>(x.detach().flatten().slice(0, 0, x.numel(), stride).contiguous().sort());
  const auto count = sorted.size(0);
  const auto outside = static_cast<std::int64_t>(share * static_cast<double>(count));
  const Tensor lows = sorted.narrow(0, 0, outside + 1);
  const Tensor highs = sorted.narrow(0, count - outside - 1, outside + 1);
  const Tensor narrowest = (highs - lows).argmin();
  return {lows.index({narrowest}).clamp_max(0), highs.index({narrowest}).clamp_min(0)};
}

FakeCodes FakeWeights(const Tensor& weights, int bits, bool per_channel) {
  const auto coded = weights.is_cpu() ? FusedWeightSteps : ComposedWeightSteps;
  const auto [steps, scale] = coded(weights, Largest(bits - 1), per_channel);
  return {steps, scale};
}

Tensor ComposedSteps(const Tensor& x, const Tensor& scale, const Tensor& zero, double largest,
                     bool keeps_outliers) {
  const Tensor exact = x * scale.reciprocal();
  const Tensor held = torch::minimum(torch::maximum(exact, -zero), largest - zero);
  return keeps_outliers ? torch::where(exact == held, Rounded(exact), exact) : Rounded(held);
}

std::pair<Tensor, Tensor> ComposedWeightSteps(const Tensor& weights, double largest,
                                              bool per_channel) {
  const Tensor magnitude = weights.abs();
  const Tensor scale = (per_channel ? magnitude.amax(1, true) : magnitude.max()) / largest;
  const Tensor divisor = torch::where(scale > 0, scale, torch::ones_like(scale));
  return {torch::clamp(Rounded(weights / divisor), -largest, largest), scale};
}

}  // namespace ondine::train
