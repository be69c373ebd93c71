// ondine-train clip: trains a small CLIP and writes it.
#ifndef ONDINE_TRAIN_CLIP_COMMAND_H_
#define ONDINE_TRAIN_CLIP_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::train {

// Adds the command and its options to the program and returns what to do when it is chosen.
std::function<Status()> AddClip(CLI::App& app, StopToken interrupt);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_COMMAND_H_
