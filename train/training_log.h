// What the commands of ondine-train have in common: their log, and the files that they write.
#ifndef ONDINE_TRAIN_TRAINING_LOG_H_
#define ONDINE_TRAIN_TRAINING_LOG_H_

#include <fstream>
#include <nlohmann/json.hpp>
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

// A line on standard error that is rewritten in place, where that is a terminal.
void ShowStep(std::int64_t step, std::int64_t steps, double loss, double seconds,
              const std::string& more);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TRAINING_LOG_H_
