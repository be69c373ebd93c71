// A pool of LoRA adapters under training: the blend of a row's adapters is added to the twin.
#ifndef ONDINE_TRAIN_LORA_POOL_MODULE_H_
#define ONDINE_TRAIN_LORA_POOL_MODULE_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "models/decoder_spec.h"
#include "train/decoder_twin.h"
#include "train/pool_shape.h"

namespace ondine::train {

class LoraPoolModule : public Additions {
 public:
  // All A_n are equal at the start, drawn from `seed`, and all B_n are zero.
  LoraPoolModule(const models::DecoderSpec& spec, const PoolShape& shape, std::uint64_t seed,
                 torch::Device device);

  // Weights of the adapters [rows][adapters] for the rows of the passes to come.
  void SetWeights(const torch::Tensor& weights) { weights_ = weights; }
  // Share of the inputs of A that is dropped: the same channels for all tokens of a row, because
  // drawing a number for each would cost more than the product. 0 outside of training.
  void SetDropout(double dropout) { dropout_ = dropout; }

  torch::Tensor Delta(int layer, LoraSite site, const torch::Tensor& x) const override;

  struct Factors {
    int layer;
    LoraSite site;
    torch::Tensor a;  // [adapters * rank][in]
    torch::Tensor b;  // [out][adapters * rank]
  };
  const std::vector<Factors>& factors() const { return factors_; }
  const PoolShape& shape() const { return shape_; }
  // All a and b, in the order of factors().
  std::vector<torch::Tensor> Parameters() const;

  // Mean cosine between the products B_n A_n, all matrices as one vector, of two adapters: 1 where
  // all are equal. 1 for a single adapter.
  double Similarity() const;

 private:
  PoolShape shape_;
  std::vector<Factors> factors_;
  std::vector<int> index_;  // into factors_ by layer and site, -1 for none
  torch::Tensor weights_;
  double dropout_ = 0;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_LORA_POOL_MODULE_H_
