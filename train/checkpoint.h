// The state of a training, so that it can go on where it was.
#ifndef ONDINE_TRAIN_CHECKPOINT_H_
#define ONDINE_TRAIN_CHECKPOINT_H_

#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ondine/result.h"
#include "train/process_group.h"
#include "train/settings.h"

namespace ondine::train {

// Everything else of a training follows from its settings and the number of the step.
struct TrainingState {
  Settings settings;  // what a checkpoint must agree with
  std::vector<torch::Tensor> parameters;
  torch::optim::Optimizer* optimizer = nullptr;
  std::int64_t step = 0;
};

// A training without a checkpoint has an empty path: kInvalidArgument where it is to go on from
// one.
Status CheckResume(bool resume, const std::string& path);
// By the first process, atomically, where the training has a checkpoint.
Status SaveCheckpoint(const TrainingState& state, const std::string& path,
                      const ProcessGroup& group);
// What a training ends with that is told to stop: its state is saved, and the error is kCancelled,
// or that of saving.
tl::unexpected<Error> StopTraining(const TrainingState& state, const std::string& path,
                                   const ProcessGroup& group);
// Fills parameters, optimizer and step. kMismatch where the settings are others, naming
// those; kCorrupt.
Status LoadCheckpoint(const std::string& path, TrainingState& state);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CHECKPOINT_H_
