#include "train/weight_rounding.h"

#include <torch/utils.h>

namespace ondine::train {
namespace {

using torch::Tensor;

// Ends of the stretched sigmoid, so that it comes to 0 and 1: the paper's.
constexpr double kLow = -0.1, kHigh = 1.1;

}  // namespace

WeightRounding::WeightRounding(const Tensor& weights, int bits, bool per_channel)
    : largest_((1 << (bits - 1)) - 1) {
  const torch::NoGradGuard no_gradient;
  scale_ = FakeWeights(weights, bits, per_channel).scale;
  const Tensor exact = weights / torch::where(scale_ > 0, scale_, torch::ones_like(scale_));
  below_ = exact.floor();
  const Tensor share = (exact - below_ - kLow) / (kHigh - kLow);
  parameter_ = torch::logit(share).requires_grad_();
}

Tensor WeightRounding::Share() const {
  return (torch::sigmoid(parameter_) * (kHigh - kLow) + kLow).clamp(0, 1);
}

FakeCodes WeightRounding::Codes() const {
  const Tensor share = torch::GradMode::is_enabled() ? Share() : (Share() > 0.5).to(torch::kFloat);
  return {(below_ + share).clamp(-largest_, largest_), scale_};
}

Tensor WeightRounding::Penalty(double beta) const {
  return 1 - (2 * Share() - 1).abs().pow(beta).mean();
}

Tensor WeightRounding::Weights() const {
  const torch::NoGradGuard no_gradient;
  return Codes().Values();
}

}  // namespace ondine::train
