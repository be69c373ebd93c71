#include "train/contrastive_loss.h"

#include <vector>

namespace ondine::train {

using torch::Tensor;

Tensor Holds(const Tensor& traits, const Tensor& stated) {
  const Tensor same = traits.unsqueeze(1) == traits.unsqueeze(0);  // [pictures][texts][kinds]
  return (same | ~stated.unsqueeze(0)).all(-1);
}

Tensor ContrastiveLoss(const Tensor& logits, const Tensor& holds) {
  const auto toward = [&](std::int64_t dimension) {
    const Tensor right = holds.to(logits.dtype());
    const Tensor targets = right / right.sum(dimension, true);
    return -(targets * torch::log_softmax(logits, dimension)).sum(dimension).mean();
  };
  return (toward(0) + toward(1)) / 2;
}

Tensor StrengthLoss(const Tensor& logits, const Tensor& shares) {
  // What shows all that is asked for is e^10 times as likely as what shows nothing of it.
  constexpr double kSharpness = 10;
  const Tensor wanted = torch::log_softmax(kSharpness * shares, 0);
  return (wanted.exp() * (wanted - torch::log_softmax(logits, 0))).sum(0).mean();
}

Tensor Gathered(const Tensor& own, std::int64_t count, const ProcessGroup& group) {
  if (group.size() == 1) return own;
  const Part part = Part::Own(count, group);
  std::vector<std::int64_t> shape = own.sizes().vec();
  shape.front() = count;
  Tensor all = torch::zeros(shape, own.options());
  all.narrow(0, part.begin, part.size()).copy_(own.detach());
  group.Sum(all);
  return torch::cat({all.narrow(0, 0, part.begin), own, all.narrow(0, part.end, count - part.end)});
}

}  // namespace ondine::train
