// Chooses the next token from logits.
#ifndef ONDINE_SRC_ENGINE_SAMPLER_H_
#define ONDINE_SRC_ENGINE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "ondine/generation.h"
#include "ondine/model.h"
#include "ondine/result.h"

namespace ondine::engine {

// kInvalidArgument where a setting is out of its range.
Status CheckSampling(const SamplingSettings& settings);

class Sampler {
 public:
  explicit Sampler(const SamplingSettings& settings);
  // A token that came from elsewhere (the prompt) and counts for the repetition penalty.
  void Accept(TokenId token);
  // Same logits, settings, seed and history: same token. Ties go to the lower id.
  TokenId Sample(std::span<const float> logits);

 private:
  struct Candidate {
    TokenId token;
    float logit;
  };
  void Penalize(std::span<float> logits) const;
  void KeepTopK();
  void KeepTopP();
  void KeepMinP();

  SamplingSettings settings_;
  base::Random random_;
  std::vector<TokenId> recent_;
  std::vector<float> penalized_;
  std::vector<Candidate> candidates_;  // likeliest first
};

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_SAMPLER_H_
