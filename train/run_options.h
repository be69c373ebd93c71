// Options that several trainings have, whatever they train.
#ifndef ONDINE_TRAIN_RUN_OPTIONS_H_
#define ONDINE_TRAIN_RUN_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "base/option_checks.h"

namespace ondine::train {

// Of PoolTrainingOptions or ClipTrainingOptions, whose batches are of `what`.
template <typename TrainingOptions>
void AddStepOptions(CLI::App& app, TrainingOptions& training, const std::string& what) {
  app.add_option("--epochs", training.epochs)->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--steps", training.max_steps, "end after so many (default: by epochs)");
  app.add_option("--batch", training.batch, what + " a step, of all processes together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--learning-rate", training.learning_rate)
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--weight-decay", training.weight_decay)
      ->capture_default_str()
      ->check(base::NotNegative());
}

// Of PoolTrainingOptions, ScaleTrainingOptions or ClipTrainingOptions.
template <typename TrainingOptions>
void AddRunOptions(CLI::App& app, TrainingOptions& training) {
  app.add_option("--seed", training.seed)->capture_default_str();
  app.add_option("--validate-every", training.validate_every, "steps between validations")
      ->capture_default_str()
      ->check(base::Positive());
  app.add_option("--checkpoint", training.checkpoint,
                 "file for the training's state (default: <out>.checkpoint)");
  app.add_option("--checkpoint-minutes", training.checkpoint_minutes)
      ->capture_default_str()
      ->check(base::Positive());
  app.add_flag("--resume", training.resume, "go on from the checkpoint");
  app.add_option("--device", training.device, "as torch names it: cpu, cuda:0")
      ->capture_default_str();
  app.add_option("-t,--threads", training.threads, "(default: torch's choice)")
      ->check(CLI::Range(1, 256));
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_RUN_OPTIONS_H_
