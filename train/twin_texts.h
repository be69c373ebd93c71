// The twin as the text encoder that strengths of words are learned with: vectors and gradients are
// torch's.
#ifndef ONDINE_TRAIN_TWIN_TEXTS_H_
#define ONDINE_TRAIN_TWIN_TEXTS_H_

#include <span>

#include "images/class_learner.h"
#include "train/clip_twin.h"

namespace ondine::train {

class TwinTexts final : public images::WeightedTexts {
 public:
  explicit TwinTexts(const ClipTwin& twin) : twin_(twin) {}  // which must outlive the object

  void Encode(std::span<const models::ClipText> texts, float* vectors) override;
  void LogWeights(std::span<const models::ClipText> texts, const float* upstream,
                  std::span<float> gradients) override;

 private:
  const ClipTwin& twin_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TWIN_TEXTS_H_
