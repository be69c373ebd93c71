// How sure a model is of what it writes.
#ifndef ONDINE_SRC_ENGINE_CONFIDENCE_H_
#define ONDINE_SRC_ENGINE_CONFIDENCE_H_

#include <span>

#include "ondine/generation.h"
#include "ondine/model.h"

namespace ondine::engine {

// Collects what the logits said at each token of an answer, before any sampling setting.
class ConfidenceMeter {
 public:
  // `logits` [vocabulary], of which `chosen` was taken.
  void Add(std::span<const float> logits, TokenId chosen);
  Confidence result() const;

 private:
  double surprise_ = 0, margin_ = 0, entropy_ = 0;  // sums
  std::int64_t tokens_ = 0;
};

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_CONFIDENCE_H_
