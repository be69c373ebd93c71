// What learning the strengths of words needs of a text encoder.
#ifndef ONDINE_SRC_IMAGES_CLASS_LEARNER_H_
#define ONDINE_SRC_IMAGES_CLASS_LEARNER_H_

#include <span>
#include <vector>

#include "images/clip_parts.h"
#include "models/clip_pass.h"
#include "ondine/images.h"
#include "ondine/result.h"

namespace ondine::images {

// Vectors of texts whose tokens have weights, and how they change with these. What an
// implementation throws passes through LearnClasses().
class WeightedTexts {
 public:
  virtual ~WeightedTexts() = default;
  // Vectors [texts][length] of norm 1.
  virtual void Encode(std::span<const models::ClipText> texts, float* vectors) = 0;
  // d sum(upstream * vectors) / d log_weights, one for each token of each text.
  virtual void LogWeights(std::span<const models::ClipText> texts, const float* upstream,
                          std::span<float> gradients) = 0;
};

// LearnClasses() of ondine/images.h with an encoder of the same CLIP's texts.
Result<LearnedClasses> LearnClasses(const Clip::Parts& parts, WeightedTexts& encoder,
                                    const std::vector<ClassExamples>& examples,
                                    const LearnOptions& options);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLASS_LEARNER_H_
