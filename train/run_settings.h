// Settings that several trainings have in common.
#ifndef ONDINE_TRAIN_RUN_SETTINGS_H_
#define ONDINE_TRAIN_RUN_SETTINGS_H_

#include <ATen/Parallel.h>

#include <string>

#include "train/process_group.h"
#include "train/settings.h"

namespace ondine::train {

// How long and in what steps; of PoolTrainingOptions or ClipTrainingOptions.
template <typename TrainingOptions>
void AddStepSettings(const TrainingOptions& options, Settings& settings) {
  settings.Add("epochs", options.epochs);
  settings.Add("steps", options.max_steps > 0 ? std::to_string(options.max_steps) : "all");
  settings.Add("batch", options.batch);
  settings.Add("learning-rate", options.learning_rate);
  settings.Add("weight-decay", options.weight_decay);
  settings.Add("warmup", options.warmup);
  settings.Add("max-gradient", options.max_gradient);
}

// Also what only decides how sums are rounded: a training that goes on ends, bit for bit, where it
// would have ended.
template <typename TrainingOptions>
void AddMachineSettings(const TrainingOptions& options, const ProcessGroup& group,
                        Settings& settings) {
  settings.Add("seed", options.seed);
  settings.Add("dtype", options.bfloat16 ? "bfloat16" : "float32");
  settings.Add("device", options.device);
  settings.Add("processes", group.size());
  settings.Add("threads", at::get_num_threads());
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_RUN_SETTINGS_H_
