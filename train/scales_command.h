// ondine-train scales: learns the channel scales of a quantised model.
#ifndef ONDINE_TRAIN_SCALES_COMMAND_H_
#define ONDINE_TRAIN_SCALES_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::train {

// Adds the command and its options; what is returned runs it.
std::function<Status()> AddScales(CLI::App& app, StopToken interrupt);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_SCALES_COMMAND_H_
