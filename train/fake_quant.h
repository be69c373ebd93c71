// Quantisation as training sees it: values rounded to what integers stand for, gradients as if
// nothing had been rounded (straight-through). The numbers are those of the engine: the codes of
// compute::StaticCode and of quant::EncodeWeights.
#ifndef ONDINE_TRAIN_FAKE_QUANT_H_
#define ONDINE_TRAIN_FAKE_QUANT_H_

#include <torch/types.h>

namespace ondine::train {

// x in the code of 2^bits values that covers [low, high] (scalars, low <= 0 <= high). Gradients
// flow to x inside the range, and to the range.
torch::Tensor FakeCode(const torch::Tensor& x, const torch::Tensor& low, const torch::Tensor& high,
                       int bits);

// weights [out][in] in symmetric integers, with a scale for each row or, without `per_channel`, one
// for all.
torch::Tensor FakeWeights(const torch::Tensor& weights, int bits, bool per_channel);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_FAKE_QUANT_H_
