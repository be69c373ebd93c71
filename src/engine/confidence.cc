#include "engine/confidence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compute/elementwise.h"

namespace ondine::engine {

namespace {

// The entropy of softmax(x) is log Z(1) - d/dt log Z(t) at t = 1, where Z(t) sums exp(t x): the
// slope takes two more sums of exponentials, for which there is a fast kernel, instead of a
// logarithm and an exponential for each token of the vocabulary. Right to about 1e-3 nats.
double Entropy(std::span<const float> logits, float log_sum) {
  constexpr float kStep = 1.0F / 64;
  std::vector<float> scaled(logits.size());
  const auto log_sum_at = [&](float t) {
    std::transform(logits.begin(), logits.end(), scaled.begin(), [t](float x) { return t * x; });
    return static_cast<double>(compute::LogSumExp(scaled));
  };
  const double slope = (log_sum_at(1 + kStep) - log_sum_at(1 - kStep)) / (2.0 * kStep);
  return std::max(0.0, log_sum - slope);
}

}  // namespace

void ConfidenceMeter::Add(std::span<const float> logits, TokenId chosen) {
  const float log_sum = compute::LogSumExp(logits);
  float first = -std::numeric_limits<float>::infinity(), second = first;
  for (const float logit : logits) {
    second = std::max(second, std::min(first, logit));
    first = std::max(first, logit);
  }
  surprise_ += log_sum - logits[static_cast<std::size_t>(chosen)];
  margin_ += std::exp(first - log_sum) - std::exp(second - log_sum);
  entropy_ += Entropy(logits, log_sum);
  ++tokens_;
}

Confidence ConfidenceMeter::result() const {
  if (tokens_ == 0) return {};
  const auto count = static_cast<double>(tokens_);
  return {std::exp(-surprise_ / count), margin_ / count, entropy_ / count, tokens_};
}

}  // namespace ondine::engine
