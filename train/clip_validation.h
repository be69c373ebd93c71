// How well a CLIP finds photos by their names, and classes of photos that it was not trained on.
#ifndef ONDINE_TRAIN_CLIP_VALIDATION_H_
#define ONDINE_TRAIN_CLIP_VALIDATION_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "text/clip_tokenizer.h"
#include "train/clip_scores.h"
#include "train/clip_twin.h"
#include "train/photo_set.h"
#include "train/process_group.h"

namespace ondine::train {

// Of similarities [queries][answers] and which answers are right.
Recall RecallOf(const torch::Tensor& similarities, const torch::Tensor& right);

// Vectors [photos][projection] of photos of the spec's size, on the CPU, without gradients. Each
// process computes a part. When it is stopped, some are zeros.
torch::Tensor PhotoVectors(const ClipTwin& twin, const PhotoSet& photos, const ProcessGroup& group,
                           const StopToken& stop_token = {});

class ClipValidation {
 public:
  // Recall is among the first 1,000 photos that have a name; every photo of the same name or the
  // same bytes counts as right. Classes are all that occur in training; each is the mean vector of
  // its ClassPrompts.
  ClipValidation(const PhotoSet& photos, const std::vector<FashionItem>& training,
                 const text::ClipTokenizer& tokenizer, const models::ClipSpec& spec);

  // Each process computes a part.
  ClipScores Measure(const ClipTwin& twin, const ProcessGroup& group) const;

 private:
  struct Classes {
    std::vector<std::vector<std::int32_t>> prompts;
    torch::Tensor owners;  // [prompts], int64: which class each is of
    torch::Tensor labels;  // [photos], int64: the right class, -1 where unknown
    std::int64_t count = 0;
  };
  Classes FindClasses(Attribute attribute, const std::vector<FashionItem>& training,
                      const text::ClipTokenizer& tokenizer, int context) const;
  static ZeroShotScore Score(const ClipTwin& twin, const Classes& classes,
                             const torch::Tensor& pictures);

  const PhotoSet& photos_;
  std::vector<std::int64_t> named_;               // which photos recall is about
  std::vector<std::vector<std::int32_t>> names_;  // of these
  torch::Tensor right_;                           // [named][named] bool
  Classes types_, colours_, genders_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_VALIDATION_H_
