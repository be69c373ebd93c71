// What pictures and texts of a batch teach each other (Radford et al., 2021), where a text may hold
// for more pictures than its own.
#ifndef ONDINE_TRAIN_CONTRASTIVE_LOSS_H_
#define ONDINE_TRAIN_CONTRASTIVE_LOSS_H_

#include <torch/types.h>

#include "train/process_group.h"

namespace ondine::train {

// Which text holds for which picture, [pictures][texts] bool: all that it states is so. `traits`
// [pictures][kinds] int64 are the pictures', text i is made from picture i, and `stated`
// [texts][kinds] bool says which of these it states.
torch::Tensor Holds(const torch::Tensor& traits, const torch::Tensor& stated);

// Mean over both directions of the cross-entropy between the softmax of logits [pictures][texts]
// and a target that is spread evenly over all that holds (UniCL: Yang et al., CVPR 2022, arXiv
// 2204.03610). Of every row and column something must hold.
torch::Tensor ContrastiveLoss(const torch::Tensor& logits, const torch::Tensor& holds);

// What texts with strengths learn from, of logits [pictures][texts] and the shares of a text's
// strength that are true of a picture: each text's softmax over the pictures is to be that of the
// shares times a constant, so that a picture is the likelier the more of what is asked for it
// shows, and what is asked for more strongly counts for more. The mean divergence of the two, in
// nats.
torch::Tensor StrengthLoss(const torch::Tensor& logits, const torch::Tensor& shares);

// Which part of `count` things this process computes.
struct Part {
  std::int64_t begin = 0, end = 0;

  static Part Own(std::int64_t count, const ProcessGroup& group) {
    return {count * group.rank() / group.size(), count * (group.rank() + 1) / group.size()};
  }
  std::int64_t size() const { return end - begin; }
};

// [count][...] from what each process computed of it, own [part][...]; gradients flow to `own`
// alone.
torch::Tensor Gathered(const torch::Tensor& own, std::int64_t count, const ProcessGroup& group);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CONTRASTIVE_LOSS_H_
