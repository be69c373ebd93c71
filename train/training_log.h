// What the commands of ondine-train tell of a training while it runs: a log, and a line on the
// terminal.
#ifndef ONDINE_TRAIN_TRAINING_LOG_H_
#define ONDINE_TRAIN_TRAINING_LOG_H_

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "ondine/result.h"

namespace ondine::train {

// One record a line, as it comes, so that a training can be watched.
class TrainingLog {
 public:
  // An empty path: nothing is written.
  Status Open(const std::string& path, bool append);
  void Write(const nlohmann::json& record);
  // A full disk does not end hours of training, but is told at the end.
  Status Close(const std::string& path) const;

 private:
  std::ofstream stream_;
};

// A line on standard error that is rewritten in place, where that is a terminal. `seconds` are
// those since the training began or, with --resume, went on.
class ProgressLine {
 public:
  void Show(std::int64_t step, std::int64_t steps, double loss, double seconds,
            const std::string& more);
  // When `step` is finished: how long the others will take, by those of this run alone.
  double SecondsLeft(std::int64_t step, std::int64_t steps, double seconds);

 private:
  std::optional<std::int64_t> begin_;  // steps that were finished before this run
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TRAINING_LOG_H_
