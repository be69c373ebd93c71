// Trains a pool of adapters on questions with choices.
#ifndef ONDINE_TRAIN_POOL_TRAINING_H_
#define ONDINE_TRAIN_POOL_TRAINING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "adapters/lora.h"
#include "models/decoder.h"
#include "ondine/progress.h"
#include "ondine/result.h"
#include "train/pool_items.h"
#include "train/pool_shape.h"
#include "train/settings.h"

namespace ondine::train {

// By tensor, the factors of each adapter: what a pool consists of.
using TrainedAdapters = std::map<std::string, std::vector<adapters::LowRankFactors>>;

struct PoolTrainingOptions {
  Settings origin;  // of the model and the items, as the caller knows them
  PoolShape shape;
  // The loss is (1 - choice_share) * answer + choice_share * choice: see ChoiceLosses.
  double choice_share = 0;
  double dropout = 0.05;  // of the inputs of A
  // Share of the steps in which the weights go, evenly, from all adapters alike to each item's own:
  // what all tasks have in common is learnt from all of them before the adapters part.
  double together = 0;

  // AdamW, warmed up over a share of the steps, then a cosine down to zero.
  double learning_rate = 2e-4;
  double weight_decay = 0.01;
  double warmup = 0.03;
  double max_gradient = 1;  // longer gradients are scaled to this length
  int epochs = 1;
  std::int64_t max_steps = 0;    // 0: as many as the epochs have
  std::size_t batch = 32;        // items a step, of all processes together
  std::size_t max_tokens = 512;  // that one process computes at once, padding included
  std::uint64_t seed = 1;
  std::string device = "cpu";  // as torch names it
  int threads = 0;             // 0: torch's choice
  bool bfloat16 = false;       // for the products with the base model's matrices

  std::string checkpoint;             // file; empty: none is written
  double checkpoint_minutes = 10;     // between two of them
  bool resume = false;                // from the checkpoint
  std::int64_t validate_every = 100;  // steps; before the first and after the last in any case
};

struct StepReport {
  std::int64_t step = 0, steps = 0;  // finished, in all
  double epoch = 0;
  double loss = 0, answer_loss = 0, choice_loss = 0, accuracy = 0;  // means over the batch
  double learning_rate = 0;
  double gradient = 0;           // its length before it was cut
  double tokens_per_second = 0;  // of this step, all processes, without padding
  double seconds = 0;            // since the training began or went on
};

struct ValidationReport {
  std::int64_t step = 0;
  double answer_loss = 0, choice_loss = 0, accuracy = 0;
  double similarity = 0;  // mean cosine between two adapters
};

// Called by the first process alone.
struct PoolTrainingObserver {
  // Before the first step, with all that decides the result; an error ends the training.
  std::function<Status(const Settings&)> on_start;
  std::function<void(const StepReport&)> on_step;
  std::function<void(const ValidationReport&)> on_validation;
  StopToken stop_token;
};

// Items need their weights. With several processes, as their environment says, each computes its
// part of every batch; the first returns the adapters, the others none. When it is stopped, a
// checkpoint is written and the error is kCancelled. Other errors: kInvalidArgument (options,
// device), kMismatch (the checkpoint is of another training), kIo.
Result<TrainedAdapters> TrainPool(const models::Decoder& decoder, const PoolItems& training,
                                  const PoolItems& validation, const PoolTrainingOptions& options,
                                  const PoolTrainingObserver& observer);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_POOL_TRAINING_H_
