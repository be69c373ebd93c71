// The loops of elementwise.h, for compilers to vectorise: each file that includes this compiles
// them for its own instruction set. Sums are kept in kLanes parts, so that every set gives the same
// bits.
#ifndef ONDINE_SRC_COMPUTE_ELEMENTWISE_LOOPS_H_
#define ONDINE_SRC_COMPUTE_ELEMENTWISE_LOOPS_H_

#include <cstddef>

#include "compute/elementwise_kernels.h"
#include "compute/exp.h"

namespace ondine::compute {
// Deliberately unnamed: every including file needs functions of its own.
namespace {  // NOLINT(google-build-namespaces)

constexpr std::size_t kLanes = 16;

inline void SiluLoop(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = gate[i] / (1.0f + Exp(-gate[i])) * up[i];
}

// 0.5 x (1 + tanh(y)) = x / (1 + e^-2y), y = sqrt(2 / pi) x (1 + 0.044715 x^2)
inline float Gelu(float x) {
  const float y = 0.79788456080286535588f * x * (1.0f + 0.044715f * x * x);
  return x / (1.0f + Exp(-2.0f * y));
}

inline void GeluLoop(float* gate, const float* up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) gate[i] = Gelu(gate[i]) * up[i];
}

inline void GeluAloneLoop(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = Gelu(x[i]);
}

inline void QuickGeluLoop(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = x[i] / (1.0f + Exp(-1.702f * x[i]));
}

// The error function to 1.5e-7: Abramowitz and Stegun, 7.1.26.
inline float Erf(float x) {
  const float size = x < 0 ? -x : x;
  const float t = 1.0f / (1.0f + 0.3275911f * size);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float erf = 1.0f - p * t * Exp(-size * size);
  return x < 0 ? -erf : erf;
}

inline void ExactGeluLoop(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    x[i] = 0.5f * x[i] * (1.0f + Erf(0.70710678f * x[i]));
  }
}

inline void AddLoop(const float* x, std::size_t count, float* sum) {
  for (std::size_t i = 0; i < count; ++i) sum[i] += x[i];
}

// The sum of term(x[i]), a double.
template <typename Term>
double SumOf(const float* x, std::size_t count, Term term) {
  double sums[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(x[i + lane]);
  }
  double total = 0;
  for (; i < count; ++i) total += term(x[i]);
  for (double sum : sums) total += sum;
  return total;
}

inline double SumLoop(const float* x, std::size_t count) {
  return SumOf(x, count, [](double value) { return value; });
}

inline double SumDeviationsLoop(const float* x, float mean, std::size_t count) {
  return SumOf(x, count, [mean](double value) { return (value - mean) * (value - mean); });
}

inline double SumSquaresLoop(const float* x, std::size_t count) {
  return SumOf(x, count, [](double value) { return value * value; });
}

inline void ScaleLoop(const float* x, const float* weight, float scale, std::size_t count,
                      float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = x[i] * scale * weight[i];
}

inline void StandardizeLoop(const float* x, float mean, float scale, const float* weight,
                            const float* bias, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

inline float MaximumLoop(const float* x, std::size_t count) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = x[0];
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
    }
  }
  float largest = x[0];
  for (; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  for (float lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

inline double SumExpLoop(const float* x, float shift, std::size_t count) {
  // Floats add up few terms, doubles the rest.
  constexpr std::size_t kChunk = 64 * kLanes;
  double total = 0;
  std::size_t i = 0;
  while (i + kLanes <= count) {
    float sums[kLanes] = {};
    const std::size_t end = i + kChunk < count ? i + kChunk : count;
    for (; i + kLanes <= end; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += Exp(x[i + lane] - shift);
    }
    for (float sum : sums) total += sum;
  }
  for (; i < count; ++i) total += Exp(x[i] - shift);
  return total;
}

constexpr ElementwiseKernels kLoops = {
    SiluLoop,        GeluLoop,    GeluAloneLoop,     QuickGeluLoop,  ExactGeluLoop,
    AddLoop,         SumLoop,     SumDeviationsLoop, SumSquaresLoop, ScaleLoop,
    StandardizeLoop, MaximumLoop, SumExpLoop};

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ELEMENTWISE_LOOPS_H_
