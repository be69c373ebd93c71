#include "compute/elementwise.h"

#include <cmath>

#include "compute/cpu_features.h"
#include "compute/elementwise_loops.h"

namespace ondine::compute {

const ElementwiseKernels kElementwisePlain = kLoops;

namespace {

const ElementwiseKernels& Best() {
#if defined(__x86_64__)
  if (HasAvx512()) return kElementwiseAvx512;
  if (HasAvx2()) return kElementwiseAvx2;
#endif
  return kElementwisePlain;
}

}  // namespace

void RmsNorm(std::span<const float> x, std::span<const float> weight, float epsilon,
             std::span<float> out) {
  const double mean = Best().sum_squares(x.data(), x.size()) / static_cast<double>(x.size());
  const auto scale = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
  Best().scale(x.data(), weight.data(), scale, x.size(), out.data());
}

void LayerNorm(std::span<const float> x, std::span<const float> weight, std::span<const float> bias,
               float epsilon, std::span<float> out) {
  const auto count = static_cast<double>(x.size());
  const auto mean = static_cast<float>(Best().sum(x.data(), x.size()) / count);
  const double variance = Best().sum_deviations(x.data(), mean, x.size()) / count;
  const auto scale = static_cast<float>(1.0 / std::sqrt(variance + epsilon));
  Best().standardize(x.data(), mean, scale, weight.data(), bias.data(), x.size(), out.data());
}

void Gelu(std::span<float> x) {
  Best().gelu_alone(x.data(), x.size());
}

void QuickGelu(std::span<float> x) {
  Best().quick_gelu(x.data(), x.size());
}

void ExactGelu(std::span<float> x) {
  Best().exact_gelu(x.data(), x.size());
}

void ApplyGate(GateActivation activation, std::span<float> gate, std::span<const float> up) {
  const auto apply = activation == GateActivation::kSilu ? Best().silu : Best().gelu;
  apply(gate.data(), up.data(), gate.size());
}

void Add(std::span<const float> x, std::span<float> sum) {
  Best().add(x.data(), x.size(), sum.data());
}

float LogSumExp(std::span<const float> x) {
  const float largest = Best().maximum(x.data(), x.size());
  return largest + static_cast<float>(std::log(Best().sum_exp(x.data(), largest, x.size())));
}

}  // namespace ondine::compute
