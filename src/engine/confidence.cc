#include "engine/confidence.h"

#include <cmath>
#include <limits>

#include "compute/elementwise.h"

namespace ondine::engine {

void ConfidenceMeter::Add(std::span<const float> logits, TokenId chosen) {
  const float log_sum = compute::LogSumExp(logits);
  float first = -std::numeric_limits<float>::infinity(), second = first;
  double entropy = 0;
  for (const float logit : logits) {
    if (logit > first) {
      second = first;
      first = logit;
    } else if (logit > second) {
      second = logit;
    }
    const float p = std::exp(logit - log_sum);
    if (p > 0) entropy += p * (log_sum - logit);
  }
  surprise_ += log_sum - logits[static_cast<std::size_t>(chosen)];
  margin_ += std::exp(first - log_sum) - std::exp(second - log_sum);
  entropy_ += entropy;
  ++tokens_;
}

Confidence ConfidenceMeter::result() const {
  if (tokens_ == 0) return {};
  const auto count = static_cast<double>(tokens_);
  return {std::exp(-surprise_ / count), margin_ / count, entropy_ / count, tokens_};
}

}  // namespace ondine::engine
