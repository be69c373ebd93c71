// ondine-train token-weights: learns strengths of words from photos of each class.
#ifndef ONDINE_TRAIN_TOKEN_WEIGHTS_COMMAND_H_
#define ONDINE_TRAIN_TOKEN_WEIGHTS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::train {

// Adds the command and its options to the program and returns what to do when it is chosen.
std::function<Status()> AddTokenWeights(CLI::App& app, StopToken interrupt);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TOKEN_WEIGHTS_COMMAND_H_
