// What each step of a CLIP's training reads: photos, and for each a name and a phrase of
// attributes, and perhaps a caption with strengths.
#ifndef ONDINE_TRAIN_CLIP_BATCHES_H_
#define ONDINE_TRAIN_CLIP_BATCHES_H_

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "text/clip_tokenizer.h"
#include "train/contrastive_loss.h"
#include "train/photo_set.h"
#include "train/process_group.h"
#include "train/weighted_captions.h"

namespace ondine::train {

struct ClipBatch {
  // Of the process's own part.
  torch::Tensor photos;                                   // [part][size][size][3], bytes
  std::vector<std::vector<std::int32_t>> names, phrases;  // tokens
  // Captions with strengths, where the batches have them: tokens, and logarithms [part][context] of
  // their weights.
  std::vector<std::vector<std::int32_t>> weighted;
  torch::Tensor log_weights;

  // Of the whole batch.
  torch::Tensor index;                                       // [batch], int64: which photos
  torch::Tensor traits, stated_by_names, stated_by_phrases;  // see Holds()
  torch::Tensor shares;  // [pictures][texts]: see PhotoSayings::Share()
};

class ClipBatches {
 public:
  // `batch` photos of all processes together; an epoch leaves out what fills no whole batch.
  // Captions are of at most `context` tokens. `weighted`: there are those with strengths too.
  ClipBatches(const PhotoSet& photos, const text::ClipTokenizer& tokenizer, int context,
              std::int64_t batch, bool weighted, std::uint64_t seed);

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  std::int64_t size() const { return batch_; }
  const PhotoSet& photos() const { return photos_; }
  // Decided by the step and the seed alone.
  ClipBatch Draw(std::int64_t step, const ProcessGroup& group);

  // Of photos and tokens: that other data is not taken for the same.
  std::string Fingerprint() const;

 private:
  void DrawWeighted(const Part& own, base::Random& random, ClipBatch& batch) const;

  const PhotoSet& photos_;
  const text::ClipTokenizer& tokenizer_;
  const int context_;
  const std::int64_t batch_;
  const std::uint64_t seed_;
  std::int64_t steps_per_epoch_;
  torch::Tensor traits_;  // [photos][kinds]
  std::optional<PhotoSayings> sayings_;
  std::int64_t epoch_ = -1;
  std::vector<std::size_t> order_;  // of the photos in this epoch
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_BATCHES_H_
