#include "quant/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace ondine::quant {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

RC_GTEST_PROP(EncodeWeights, IsAtMostHalfAStepAway, ()) {
  const int bits = *rc::gen::inRange(2, 9);
  const bool per_channel = *rc::gen::arbitrary<bool>();
  const auto out = *rc::gen::inRange<std::size_t>(1, 6), in = *rc::gen::inRange<std::size_t>(1, 20);
  std::vector<float> w;
  for (std::size_t i = 0; i < out * in; ++i) {
    w.push_back(static_cast<float>(*rc::gen::inRange(-10000, 10000)) * 1e-4f);
  }
  const WeightCodes codes = EncodeWeights(w, static_cast<std::int64_t>(out), bits, per_channel);
  RC_ASSERT(codes.scales.size() == (per_channel ? out : 1));
  const int largest = (1 << (bits - 1)) - 1;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double scale = codes.scales[per_channel ? i / in : 0];
    RC_ASSERT(std::abs(codes.codes[i]) <= largest);
    RC_ASSERT(std::abs(scale * codes.codes[i] - static_cast<double>(w[i])) <=
              0.5001 * scale + 1e-9);
  }
}

TEST(EncodeWeights, RoundsTiesToEvenAndKeepsZeroRows) {
  const std::vector<float> w = {127, 0.5f, 1.5f, -2.5f, 0, 0, 0, 0};
  const WeightCodes codes = EncodeWeights(w, 2, 8, true);
  EXPECT_THAT(codes.codes, ElementsAre(127, 0, 2, -2, 0, 0, 0, 0));
  EXPECT_THAT(codes.scales, ElementsAre(1, 0));
  EXPECT_THAT(EncodeWeights(w, 2, 8, false).scales, ElementsAre(1));
  const std::vector<float> zeros(6, 0.0f);
  EXPECT_THAT(EncodeWeights(zeros, 2, 8, false).codes, Each(0));
}

TEST(EncodeWeights, HoldsTheSmallestNumbers) {
  const std::vector<float> w = {1e-45f, -1e-45f, 3e-45f};
  for (const std::int8_t code : EncodeWeights(w, 1, 8, true).codes) {
    EXPECT_LE(std::abs(code), 127);
  }
}

}  // namespace
}  // namespace ondine::quant
