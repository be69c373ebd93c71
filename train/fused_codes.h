// The functions of train/fake_quant.h in one pass over memory for all values and one for their
// gradients, on a CPU. Composed of torch's operations they take a dozen each, which is a third of
// a training step.
#ifndef ONDINE_TRAIN_FUSED_CODES_H_
#define ONDINE_TRAIN_FUSED_CODES_H_

#include <torch/types.h>

#include <utility>

namespace ondine::train {

// Steps of x, as train::FakeCode has them, in the code of scale and zero (scalars; codes from 0 to
// `largest`).
torch::Tensor FusedSteps(const torch::Tensor& x, const torch::Tensor& scale,
                         const torch::Tensor& zero, double largest, bool keeps_outliers);

// Steps from -largest to largest, and scales, as train::FakeWeights has them.
std::pair<torch::Tensor, torch::Tensor> FusedWeightSteps(const torch::Tensor& weights,
                                                         double largest, bool per_channel);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_FUSED_CODES_H_
