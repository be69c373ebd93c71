#include "train/tensors.h"

#include <cmath>
#include <stdexcept>

namespace ondine::train {

using torch::Tensor;

double ShareGradients(const std::vector<Tensor>& parameters, const ProcessGroup& group,
                      double most) {
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : parameters) {
    // A process may have had no item.
    if (!parameter.grad().defined()) parameter.mutable_grad() = torch::zeros_like(parameter);
    gradients.push_back(parameter.grad().flatten());
  }
  Tensor flat = torch::cat(gradients);
  group.Sum(flat);
  const double length = flat.norm().item<double>();
  if (!std::isfinite(length)) {
    throw std::runtime_error("the training diverged: try a lower learning rate");
  }
  if (length > most) flat *= most / length;
  std::int64_t begin = 0;
  for (const Tensor& parameter : parameters) {
    parameter.grad().copy_(flat.narrow(0, begin, parameter.numel()).view_as(parameter));
    begin += parameter.numel();
  }
  return length;
}

std::vector<float> Floats(const Tensor& values) {
  const Tensor floats = values.detach().to(torch::kCPU, torch::kFloat).contiguous();
  const float* begin = floats.data_ptr<float>();
  return {begin, begin + floats.numel()};
}

}  // namespace ondine::train
