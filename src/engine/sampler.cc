#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ondine::engine {

Status CheckSampling(const SamplingSettings& settings) {
  const auto invalid = [](const char* message) {
    return MakeError(ErrorCode::kInvalidArgument, message);
  };
  // Written so that NaN fails too.
  if (!(settings.temperature >= 0 && settings.temperature <= 100)) {
    return invalid("the temperature must lie between 0 and 100");
  }
  if (settings.top_k < 0) return invalid("top-k must not be negative (0: off)");
  if (!(settings.top_p > 0 && settings.top_p <= 1)) {
    return invalid("top-p must lie above 0 and at most be 1 (1: off)");
  }
  if (!(settings.min_p >= 0 && settings.min_p <= 1)) {
    return invalid("min-p must lie between 0 (off) and 1");
  }
  if (!(settings.repetition_penalty > 0 && settings.repetition_penalty <= 100)) {
    return invalid("the repetition penalty must lie above 0 and at most be 100 (1: off)");
  }
  if (settings.repetition_window < 0) return invalid("the repetition window must not be negative");
  return {};
}

Sampler::Sampler(const SamplingSettings& settings) : settings_(settings), random_(settings.seed) {}

void Sampler::Accept(TokenId token) {
  recent_.push_back(token);
  if (recent_.size() > static_cast<std::size_t>(settings_.repetition_window)) {
    recent_.erase(recent_.begin());
  }
}

void Sampler::Penalize(std::span<float> logits) const {
  std::vector<TokenId> unique(recent_);
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  for (TokenId token : unique) {
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / settings_.repetition_penalty : logit * settings_.repetition_penalty;
  }
}

TokenId Sampler::Sample(std::span<const float> logits) {
  if (settings_.repetition_penalty != 1 && !recent_.empty()) {
    penalized_.assign(logits.begin(), logits.end());
    Penalize(penalized_);
    logits = penalized_;
  }
  TokenId token = 0;
  if (settings_.temperature == 0) {
    token = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  } else {
    candidates_.resize(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      candidates_[i] = {static_cast<TokenId>(i), logits[i]};
    }
    KeepTopK();
    KeepTopP();
    KeepMinP();
    std::vector<double> weights(candidates_.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] = std::exp((static_cast<double>(candidates_[i].logit) - candidates_[0].logit) /
                            settings_.temperature);
    }
    // Not std::discrete_distribution: its results differ between standard libraries.
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    double rest = base::RandomShare(random_) * total;
    std::size_t chosen = 0;
    while (chosen + 1 < weights.size() && rest >= weights[chosen]) rest -= weights[chosen++];
    token = candidates_[chosen].token;
  }
  Accept(token);
  return token;
}

void Sampler::KeepTopK() {
  const auto by_logit = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  const std::size_t k =
      settings_.top_k == 0
          ? candidates_.size()
          : std::min<std::size_t>(static_cast<std::size_t>(settings_.top_k), candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k),
                    candidates_.end(), by_logit);
  candidates_.resize(k);
}

void Sampler::KeepTopP() {
  if (settings_.top_p >= 1) return;
  double total = 0;
  for (const Candidate& c : candidates_) {
    total += std::exp(static_cast<double>(c.logit) - candidates_[0].logit);
  }
  double sum = 0;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    sum += std::exp(static_cast<double>(candidates_[i].logit) - candidates_[0].logit);
    if (sum >= static_cast<double>(settings_.top_p) * total) {
      candidates_.resize(i + 1);
      return;
    }
  }
}

void Sampler::KeepMinP() {
  if (settings_.min_p <= 0) return;
  const float least = candidates_[0].logit + std::log(settings_.min_p);
  while (candidates_.size() > 1 && candidates_.back().logit < least) candidates_.pop_back();
}

}  // namespace ondine::engine
