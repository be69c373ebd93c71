// What trainings do with tensors.
#ifndef ONDINE_TRAIN_TENSORS_H_
#define ONDINE_TRAIN_TENSORS_H_

#include <torch/types.h>

#include <vector>

#include "train/process_group.h"

namespace ondine::train {

// Replaces the parameters' gradients by their sums over all processes, cut to the length `most`,
// and returns their length before that. Throws where it is not finite: before that spoils the
// parameters and, with the next checkpoint, the last good state.
double ShareGradients(const std::vector<torch::Tensor>& parameters, const ProcessGroup& group,
                      double most);

// The values of a tensor of whatever shape, device and type.
std::vector<float> Floats(const torch::Tensor& values);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TENSORS_H_
