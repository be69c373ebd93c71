#include "compute/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ondine::compute {
namespace {

// e^x to about 1e-7 relative, branch-free so that loops over it become vector code. Cephes' reduction:
// x = n ln2 + r, a polynomial for e^r, n into the exponent.
inline float Exp(float x) {
  x = std::min(std::max(x, -87.0f), 88.0f);
  const float n = std::nearbyint(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

}  // namespace

void RmsNorm(std::span<const float> x, std::span<const float> weight, float epsilon,
             std::span<float> out) {
  double sum = 0;
  for (float value : x) sum += static_cast<double>(value) * value;
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(x.size()) + epsilon));
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * weight[i];
}

void ApplyGate(GateActivation activation, std::span<float> gate, std::span<const float> up) {
  if (activation == GateActivation::kSilu) {
    for (std::size_t i = 0; i < gate.size(); ++i) {
      gate[i] = gate[i] / (1.0f + Exp(-gate[i])) * up[i];
    }
    return;
  }
  for (std::size_t i = 0; i < gate.size(); ++i) {
    // 0.5 x (1 + tanh(y)) = x / (1 + e^-2y)
    const float x = gate[i];
    const float y = 0.79788456080286535588f * x * (1.0f + 0.044715f * x * x);
    gate[i] = x / (1.0f + Exp(-2.0f * y)) * up[i];
  }
}

float LogSumExp(std::span<const float> x) {
  const float largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (float value : x) sum += Exp(value - largest);
  return largest + static_cast<float>(std::log(sum));
}

}  // namespace ondine::compute
