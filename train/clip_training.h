// Trains a CLIP on photos with names and attributes, from scratch or on.
#ifndef ONDINE_TRAIN_CLIP_TRAINING_H_
#define ONDINE_TRAIN_CLIP_TRAINING_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/clip_spec.h"
#include "ondine/progress.h"
#include "ondine/result.h"
#include "text/clip_tokenizer.h"
#include "train/clip_scores.h"
#include "train/photo_set.h"
#include "train/settings.h"

namespace ondine::train {

struct ClipTrainingOptions {
  Settings origin;  // of the photos, as the caller knows them

  // AdamW, warmed up over a share of the steps, then a cosine down to zero.
  double learning_rate = 1e-3;
  double weight_decay = 0.1;  // not of norms, biases, positions and the logit scale
  double warmup = 0.05;
  double max_gradient = 1;  // longer gradients are scaled to this length
  int epochs = 32;
  std::int64_t max_steps = 0;  // 0: as many as the epochs have
  std::int64_t batch = 256;    // photos a step, of all processes together
  // Share of each picture's patches that is read, drawn anew each time (FLIP: Li et al., CVPR 2023,
  // arXiv 2212.00794), but in the last `full_share` of the steps, which read all.
  double keep_patches = 0.5;
  double full_share = 0.1;
  std::uint64_t seed = 1;
  std::string device = "cpu";  // as torch names it
  int threads = 0;             // 0: torch's choice
  bool bfloat16 = false;       // for the products with the layers' matrices

  std::string start;        // file of a CLIP to go on from; empty: random weights
  bool texts_only = false;  // the image tower and the logit scale stay as they are
  // Above 0: a third caption of each photo has strengths (SToRI: Kim et al., 2024, arXiv
  // 2410.08469), which the text tower learns to follow; its loss counts that much.
  double strengths = 0;

  std::string checkpoint;             // file; empty: none is written
  double checkpoint_minutes = 10;     // between two of them
  bool resume = false;                // from the checkpoint
  std::int64_t validate_every = 500;  // steps; before the first and after the last in any case
};

struct ClipStepReport {
  std::int64_t step = 0, steps = 0;  // finished, in all
  double epoch = 0;
  double loss = 0, name_loss = 0, attribute_loss = 0;
  double strength_loss = 0;  // 0 without captions that have strengths
  double learning_rate = 0;
  double gradient = 0;  // its length before it was cut
  double logit_scale = 0;
  double photos_per_second = 0;  // of this step, all processes
  double seconds = 0;            // since the training began or went on
};

// Called by the first process alone.
struct ClipTrainingObserver {
  // Before the first step, with all that decides the result; an error ends the training.
  std::function<Status(const Settings&)> on_start;
  std::function<void(const ClipStepReport&)> on_step;
  std::function<void(std::int64_t step, const ClipScores&)> on_validation;
  StopToken stop_token;
};

struct TrainedWeight {
  std::string name;
  std::vector<std::int64_t> shape;  // outermost first
  std::vector<float> values;
};
struct TrainedClip {
  models::ClipSpec spec;
  std::vector<TrainedWeight> weights;
};

// `spec` is that of random weights; a CLIP to go on from has its own, and the tokenizer is its own.
// Photos to train on are larger than the spec's by a margin that they are cut out of, photos to
// validate with, and those that texts alone are trained on, have its size. The spec's logit scale
// is learned. With several processes, as their environment says, each computes its part of every
// batch; the first returns the model, the others one without weights. When it is stopped, a
// checkpoint is written and the error is kCancelled. Other errors: kInvalidArgument (options,
// device), kMismatch (the checkpoint is of another training), kUnsupported (a CLIP that photos are
// cut for), kIo, those of ClipTwin::Load().
Result<TrainedClip> TrainClip(const models::ClipSpec& spec, const text::ClipTokenizer& tokenizer,
                              const PhotoSet& training, const PhotoSet& validation,
                              const ClipTrainingOptions& options,
                              const ClipTrainingObserver& observer);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_TRAINING_H_
