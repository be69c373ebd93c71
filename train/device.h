#ifndef ONDINE_TRAIN_DEVICE_H_
#define ONDINE_TRAIN_DEVICE_H_

#include <torch/types.h>

#include <string>

#include "ondine/result.h"

namespace ondine::train {

// One that is there, by torch's name for it; kInvalidArgument.
Result<torch::Device> FindDevice(const std::string& name);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_DEVICE_H_
