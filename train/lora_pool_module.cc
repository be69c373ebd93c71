#include "train/lora_pool_module.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace ondine::train {

using torch::Tensor;

namespace {

struct MatrixShape {
  std::int64_t in = 0, out = 0;
};
MatrixShape ShapeOf(const models::DecoderSpec& spec, LoraSite site) {
  switch (site) {
    case LoraSite::kQuery: return {spec.width, spec.query_width()};
    case LoraSite::kKey:
    case LoraSite::kValue: return {spec.width, spec.kv_width()};
    case LoraSite::kOutput: return {spec.query_width(), spec.width};
    case LoraSite::kGate:
    case LoraSite::kUp: return {spec.width, spec.hidden};
    case LoraSite::kDown: return {spec.hidden, spec.width};
  }
  return {};
}

}  // namespace

LoraPoolModule::LoraPoolModule(const models::DecoderSpec& spec, const PoolShape& shape,
                               std::uint64_t seed, torch::Device device)
    : shape_(shape),
      index_(static_cast<std::size_t>(spec.layers) * models::kLoraPlaces.size(), -1) {
  // Of the processor whatever the device, so that a seed means the same pool everywhere.
  const at::Generator random = at::detail::createCPUGenerator(seed);
  for (int layer = 0; layer < spec.layers; ++layer) {
    for (const LoraSite site : shape_.sites) {
      const MatrixShape matrix = ShapeOf(spec, site);
      const double bound = 1 / std::sqrt(static_cast<double>(matrix.in));
      const Tensor one = torch::empty({shape_.rank, matrix.in}).uniform_(-bound, bound, random);
      index_[static_cast<std::size_t>(layer) * models::kLoraPlaces.size() +
             static_cast<std::size_t>(site)] = static_cast<int>(factors_.size());
      factors_.push_back({layer, site, one.repeat({shape_.adapters, 1}).to(device),
                          torch::zeros({matrix.out, shape_.adapters * shape_.rank}).to(device)});
      factors_.back().a.requires_grad_();
      factors_.back().b.requires_grad_();
    }
  }
}

Tensor LoraPoolModule::Delta(int layer, LoraSite site, const Tensor& x) const {
  const int index = index_[static_cast<std::size_t>(layer) * models::kLoraPlaces.size() +
                           static_cast<std::size_t>(site)];
  if (index < 0) return {};
  const Factors& factors = factors_[static_cast<std::size_t>(index)];
  const std::int64_t rows = x.size(0), time = x.size(1);

  Tensor input = x;
  if (dropout_ > 0) {
    const Tensor kept = torch::empty({rows, 1, x.size(2)}, x.options()).bernoulli_(1 - dropout_);
    input = x * (kept / (1 - dropout_));
  }
  // A x of all adapters, then the weights on [adapter][rank]: neither B A nor a blend of the
  // factors is ever formed for a row.
  const Tensor weights = weights_.view({rows, 1, shape_.adapters, 1});
  Tensor inner =
      weights * torch::linear(input, factors.a).view({rows, time, shape_.adapters, shape_.rank});
  if (shape_.blend == BlendForm::kSeparate) inner = weights * inner.sum(2, true);
  return torch::linear(inner.flatten(2), factors.b) * shape_.scale();
}

std::vector<Tensor> LoraPoolModule::Parameters() const {
  std::vector<Tensor> parameters;
  for (const Factors& factors : factors_) {
    parameters.push_back(factors.a);
    parameters.push_back(factors.b);
  }
  return parameters;
}

double LoraPoolModule::Similarity() const {
  const torch::NoGradGuard no_gradient;
  const std::int64_t n = shape_.adapters, r = shape_.rank;
  if (n < 2) return 1;
  Tensor gram = torch::zeros({n, n}, torch::kDouble);
  for (const Factors& factors : factors_) {
    // <B_i A_i, B_j A_j> = sum over the elements of (B_i' B_j) * (A_i A_j')
    const Tensor product =
        torch::matmul(factors.b.t(), factors.b) * torch::matmul(factors.a, factors.a.t());
    gram += product.view({n, r, n, r}).sum({1, 3}).to(torch::kCPU, torch::kDouble);
  }
  const Tensor length = gram.diagonal().clamp_min(1e-30).sqrt();
  const Tensor cosines = gram / torch::outer(length, length);
  return (cosines.sum() - cosines.diagonal().sum()).item<double>() /
         static_cast<double>(n * (n - 1));
}

}  // namespace ondine::train
