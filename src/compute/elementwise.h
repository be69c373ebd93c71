// Row-wise operations between matrix products.
#ifndef ONDINE_SRC_COMPUTE_ELEMENTWISE_H_
#define ONDINE_SRC_COMPUTE_ELEMENTWISE_H_

#include <span>

namespace ondine::compute {

// Of the gate in a gated MLP: x * sigmoid(x), or GELU in its tanh form.
enum class GateActivation { kSilu, kGelu };

// out = x / sqrt(mean(x^2) + epsilon) * weight; all of one length; out may be x.
void RmsNorm(std::span<const float> x, std::span<const float> weight, float epsilon,
             std::span<float> out);

// out = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias; all of one length; out may be
// x.
void LayerNorm(std::span<const float> x, std::span<const float> weight, std::span<const float> bias,
               float epsilon, std::span<float> out);

// x = GELU(x), in its tanh form.
void Gelu(std::span<float> x);

// x = x * sigmoid(1.702 x).
void QuickGelu(std::span<float> x);

// x = GELU(x) itself, x times the normal distribution function, to 5e-7 |x|.
void ExactGelu(std::span<float> x);

// gate = activation(gate) * up.
void ApplyGate(GateActivation activation, std::span<float> gate, std::span<const float> up);

// sum += x; both of one length.
void Add(std::span<const float> x, std::span<float> sum);

// log(sum(exp(x))) without overflow; x is not empty.
float LogSumExp(std::span<const float> x);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ELEMENTWISE_H_
