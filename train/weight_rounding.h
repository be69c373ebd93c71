// AdaRound (Nagel et al., ICML 2020, arXiv 2004.10568): for each weight of a matrix it is learned
// whether it is rounded down or up.
#ifndef ONDINE_TRAIN_WEIGHT_ROUNDING_H_
#define ONDINE_TRAIN_WEIGHT_ROUNDING_H_

#include <torch/types.h>

#include "train/fake_quant.h"

namespace ondine::train {

class WeightRounding {
 public:
  // Of weights [out][in], in the code of FakeWeights(). At first each stands where it lies between
  // its two neighbours, so that nothing is rounded.
  WeightRounding(const torch::Tensor& weights, int bits, bool per_channel);

  // Between the neighbours, differentiable in parameter(); where no gradients are wanted, those
  // that it has come closest to.
  FakeCodes Codes() const;
  // 0 where all have come to one of the two, at most 1; the greater `beta`, the less those count
  // that are far from both.
  torch::Tensor Penalty(double beta) const;
  // What all are rounded to in the end.
  torch::Tensor Weights() const;

  const torch::Tensor& parameter() const { return parameter_; }

 private:
  torch::Tensor Share() const;  // of the way up, [0, 1]

  double largest_;
  torch::Tensor below_, scale_, parameter_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_WEIGHT_ROUNDING_H_
