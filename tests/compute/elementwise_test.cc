#include "compute/elementwise.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "compute/cpu_features.h"
#include "compute/elementwise_kernels.h"

namespace ondine::compute {
namespace {

std::vector<float> RandomFloats(std::size_t count, float deviation, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> values(0.0f, deviation);
  std::vector<float> result(count);
  for (float& value : result) value = values(random);
  return result;
}

std::size_t RandomCount() {
  return *rc::gen::inRange<std::size_t>(1, 3000);
}
std::uint32_t RandomSeed() {
  return *rc::gen::arbitrary<std::uint32_t>();
}

RC_GTEST_PROP(ElementwiseTest, RmsNormEqualsItsFormula, ()) {
  const std::size_t count = RandomCount();
  const std::vector<float> x = RandomFloats(count, 3.0f, RandomSeed());
  const std::vector<float> weight = RandomFloats(count, 1.0f, RandomSeed());
  constexpr float kEpsilon = 1e-5f;
  double squares = 0;
  for (float value : x) squares += double{value} * value;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(count) + kEpsilon);
  std::vector<float> out(count), in_place = x;
  RmsNorm(x, weight, kEpsilon, out);
  RmsNorm(in_place, weight, kEpsilon, in_place);
  RC_ASSERT(in_place == out);
  for (std::size_t i = 0; i < count; ++i) {
    const double expected = x[i] * scale * weight[i];
    RC_ASSERT(std::fabs(out[i] - expected) <= 3e-7 * std::fabs(expected) + 1e-30);
  }
}

RC_GTEST_PROP(ElementwiseTest, LayerNormEqualsItsFormula, ()) {
  const std::size_t count = RandomCount();
  std::vector<float> x = RandomFloats(count, 3.0f, RandomSeed());
  const auto shift = static_cast<float>(*rc::gen::inRange(-100, 100));
  for (float& value : x) value += shift;
  const std::vector<float> weight = RandomFloats(count, 1.0f, RandomSeed());
  const std::vector<float> bias = RandomFloats(count, 1.0f, RandomSeed());
  constexpr float kEpsilon = 1e-5f;
  double mean = 0, variance = 0;
  for (float value : x) mean += value / static_cast<double>(count);
  for (float value : x) variance += (value - mean) * (value - mean) / static_cast<double>(count);
  std::vector<float> out(count), in_place = x;
  LayerNorm(x, weight, bias, kEpsilon, out);
  LayerNorm(in_place, weight, bias, kEpsilon, in_place);
  RC_ASSERT(in_place == out);
  const double scale = 1 / std::sqrt(variance + kEpsilon);
  for (std::size_t i = 0; i < count; ++i) {
    const double expected = (x[i] - mean) * scale * weight[i] + bias[i];
    // The mean is rounded to a float.
    const double rounding = 1e-7 * std::fabs(mean) * scale * std::fabs(weight[i]);
    RC_ASSERT(std::fabs(out[i] - expected) <=
              rounding + 1e-6 * (std::fabs(expected) + std::fabs(bias[i])) + 1e-7);
  }
}

RC_GTEST_PROP(ElementwiseTest, GeluIsAGateOfOnes, ()) {
  const std::size_t count = RandomCount();
  const std::vector<float> x = RandomFloats(count, 3.0f, RandomSeed());
  std::vector<float> alone = x, gate = x;
  Gelu(alone);
  ApplyGate(GateActivation::kGelu, gate, std::vector<float>(count, 1.0f));
  RC_ASSERT(alone == gate);
}

RC_GTEST_PROP(ElementwiseTest, ActivationsOfClipEqualTheirFormulas, ()) {
  const std::size_t count = RandomCount();
  const std::vector<float> x =
      RandomFloats(count, *rc::gen::element(0.1f, 3.0f, 40.0f), RandomSeed());
  std::vector<float> quick = x, exact = x;
  QuickGelu(quick);
  ExactGelu(exact);
  for (std::size_t i = 0; i < count; ++i) {
    const double v = x[i];
    const double expected_quick = v / (1 + std::exp(-1.702 * v));
    const double expected_exact = v * 0.5 * std::erfc(-v / std::sqrt(2.0));
    RC_ASSERT(std::fabs(quick[i] - expected_quick) <= 1e-6 * std::fabs(v) + 1e-30);
    RC_ASSERT(std::fabs(exact[i] - expected_exact) <= 5e-7 * std::fabs(v) + 1e-30);
  }
}

RC_GTEST_PROP(ElementwiseTest, GatesEqualTheirFormulas, ()) {
  const std::size_t count = RandomCount();
  const std::vector<float> x =
      RandomFloats(count, *rc::gen::element(0.1f, 3.0f, 40.0f), RandomSeed());
  const std::vector<float> up = RandomFloats(count, 2.0f, RandomSeed());
  std::vector<float> silu = x, gelu = x;
  ApplyGate(GateActivation::kSilu, silu, up);
  ApplyGate(GateActivation::kGelu, gelu, up);
  for (std::size_t i = 0; i < count; ++i) {
    const double v = x[i];
    const double expected_silu = v / (1 + std::exp(-v)) * up[i];
    const double y = std::sqrt(2 / std::acos(-1.0)) * v * (1 + 0.044715 * v * v);
    const double expected_gelu = 0.5 * v * (1 + std::tanh(y)) * up[i];
    RC_ASSERT(std::fabs(silu[i] - expected_silu) <= 1e-6 * std::fabs(expected_silu) + 1e-30);
    // The tail, x / (1 + e^(-2y)), is as good relatively as the rounding of -2y lets it be.
    RC_ASSERT(std::fabs(gelu[i] - expected_gelu) <= 1e-6 * std::fabs(v * up[i]) + 1e-30);
  }
}

RC_GTEST_PROP(ElementwiseTest, LogSumExpEqualsItsFormula, ()) {
  const std::size_t count = *rc::gen::element<std::size_t>(1, 15, 16, 17, 1023, 1025, 49152);
  std::vector<float> x = RandomFloats(count, *rc::gen::element(0.01f, 5.0f, 30.0f), RandomSeed());
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (float value : x) sum += std::exp(value - largest);
  const double expected = largest + std::log(sum);
  RC_ASSERT(std::fabs(LogSumExp(x) - expected) <= 1e-6 + 2e-7 * std::fabs(expected));
}

TEST(ElementwiseTest, LogSumExpOfLargeAndInfinitelySmallNumbers) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_FLOAT_EQ(LogSumExp(std::vector<float>{1e30f}), 1e30f);
  EXPECT_FLOAT_EQ(LogSumExp(std::vector<float>{500.0f, 500.0f}), 500.0f + std::log(2.0f));
  EXPECT_FLOAT_EQ(LogSumExp(std::vector<float>{-infinity, 2.0f, -infinity}), 2.0f);
}

TEST(ElementwiseTest, NotANumberStaysNotANumber) {
  const float nan = std::nanf("");
  for (std::size_t count : {1, 16, 33}) {
    std::vector<float> x(count, 1.0f);
    x.back() = nan;
    std::vector<float> silu = x, gelu = x, norm = x;
    ApplyGate(GateActivation::kSilu, silu, std::vector<float>(count, 1.0f));
    ApplyGate(GateActivation::kGelu, gelu, std::vector<float>(count, 1.0f));
    RmsNorm(x, std::vector<float>(count, 1.0f), 1e-5f, norm);
    EXPECT_TRUE(std::isnan(silu.back()));
    EXPECT_TRUE(std::isnan(gelu.back()));
    EXPECT_TRUE(std::isnan(norm.front()));
    EXPECT_TRUE(std::isnan(LogSumExp(x)));
  }
}

#if defined(__x86_64__)
RC_GTEST_PROP(ElementwiseTest, VectorsEqualThePlainLoops, ()) {
  std::vector<const ElementwiseKernels*> kernels;
  if (HasAvx512()) kernels.push_back(&kElementwiseAvx512);
  if (HasAvx2()) kernels.push_back(&kElementwiseAvx2);
  if (kernels.empty()) GTEST_SKIP() << "no AVX2 here";
  const ElementwiseKernels &plain = kElementwisePlain, &fast = **rc::gen::elementOf(kernels);
  const std::size_t count = RandomCount();
  const std::vector<float> x = RandomFloats(count, 10.0f, RandomSeed());
  const std::vector<float> other = RandomFloats(count, 2.0f, RandomSeed());
  RC_ASSERT(plain.maximum(x.data(), count) == fast.maximum(x.data(), count));
  RC_ASSERT(plain.sum_squares(x.data(), count) == fast.sum_squares(x.data(), count));
  RC_ASSERT(plain.sum(x.data(), count) == fast.sum(x.data(), count));
  RC_ASSERT(plain.sum_deviations(x.data(), 0.7f, count) ==
            fast.sum_deviations(x.data(), 0.7f, count));
  RC_ASSERT(plain.sum_exp(x.data(), 30.0f, count) == fast.sum_exp(x.data(), 30.0f, count));
  const auto same = [&](auto&& run) {
    std::vector<float> a = x, b = x;
    run(plain, a.data());
    run(fast, b.data());
    return a == b;
  };
  RC_ASSERT(same([&](const auto& k, float* y) { k.silu(y, other.data(), count); }));
  RC_ASSERT(same([&](const auto& k, float* y) { k.gelu(y, other.data(), count); }));
  RC_ASSERT(same([&](const auto& k, float* y) { k.gelu_alone(y, count); }));
  RC_ASSERT(same([&](const auto& k, float* y) { k.quick_gelu(y, count); }));
  RC_ASSERT(same([&](const auto& k, float* y) { k.exact_gelu(y, count); }));
  RC_ASSERT(same([&](const auto& k, float* y) {
    k.standardize(y, 0.7f, 0.3f, other.data(), x.data(), count, y);
  }));
  RC_ASSERT(same([&](const auto& k, float* y) { k.scale(y, other.data(), 0.3f, count, y); }));
}
#endif

}  // namespace
}  // namespace ondine::compute
