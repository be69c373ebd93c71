// Quantisation as training sees it: values rounded to what integers stand for, gradients as if
// nothing had been rounded (straight-through). The numbers are those of the engine: the codes of
// compute::StaticCode and of quant::EncodeWeights.
#ifndef ONDINE_TRAIN_FAKE_QUANT_H_
#define ONDINE_TRAIN_FAKE_QUANT_H_

#include <torch/types.h>

#include <utility>

namespace ondine::train {

// Whole numbers, as floats, that stand for steps * scale. Gradients flow to both.
struct FakeCodes {
  torch::Tensor steps, scale;

  torch::Tensor Values() const { return steps * scale; }
};

// x in the code of 2^bits values that covers [low, high] (scalars, low <= 0 <= high): steps count
// from the code of 0; `scale` is a scalar. Gradients flow to x inside the range, and to the range.
// With `keeps_outliers` what lies outside stays as it is, in steps that are not whole.
FakeCodes FakeCode(const torch::Tensor& x, const torch::Tensor& low, const torch::Tensor& high,
                   int bits, bool keeps_outliers = false);
// The narrowest range that leaves out this share of the values of x, as far as a sample tells:
// {low, high}, with low <= 0 <= high.
std::pair<torch::Tensor, torch::Tensor> RangeWithoutOutliers(const torch::Tensor& x, double share);

torch::Tensor CodeScale(const torch::Tensor& low, const torch::Tensor& high, int bits);

// weights [out][in] in symmetric integers, with a scale for each row [out][1] or, without
// `per_channel`, one for all.
FakeCodes FakeWeights(const torch::Tensor& weights, int bits, bool per_channel);

// The two of train/fused_codes.h out of torch's operations: for other devices than CPUs.
torch::Tensor ComposedSteps(const torch::Tensor& x, const torch::Tensor& scale,
                            const torch::Tensor& zero, double largest, bool keeps_outliers);
std::pair<torch::Tensor, torch::Tensor> ComposedWeightSteps(const torch::Tensor& weights,
                                                            double largest, bool per_channel);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_FAKE_QUANT_H_
