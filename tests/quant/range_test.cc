#include "quant/range.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace ondine::quant {
namespace {

using compute::StaticCode;

double Decoded(const StaticCode& code, float x) {
  std::uint8_t q = 0;
  compute::EncodeScalar(code, &x, 1, &q);
  return static_cast<double>(code.scale) * (q - code.zero);
}

double MeanSquaredError(const StaticCode& code, const std::vector<float>& values) {
  double total = 0;
  for (const float x : values) total += std::pow(Decoded(code, x) - static_cast<double>(x), 2);
  return total / static_cast<double>(values.size());
}

std::vector<float> Normal(std::size_t count, float deviation, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> values(0.3f, deviation);
  std::vector<float> result(count);
  for (float& value : result) value = values(random);
  return result;
}

RC_GTEST_PROP(Range, ACodeCoversItAndHasZeroExactly, ()) {
  const int bits = *rc::gen::inRange(2, 9);
  const Range range = {-0.01f * static_cast<float>(*rc::gen::inRange(0, 10000)),
                       0.01f * static_cast<float>(*rc::gen::inRange(0, 10000))};
  const StaticCode code = CodeOf(range, bits);
  RC_ASSERT(code.largest == (1 << bits) - 1);
  RC_ASSERT(Decoded(code, 0) == 0);
  // The zero is rounded, so that an end may lie half a step outside.
  for (const float end : {range.low, range.high}) {
    RC_ASSERT(std::abs(Decoded(code, end) - static_cast<double>(end)) <=
              0.501 * static_cast<double>(code.scale));
  }
}

// Whether one of the ends is outside of what the code covers.
bool IsOutside(const StaticCode& code, Range range) {
  const float ends[] = {range.low, range.high};
  std::uint8_t codes[2];
  std::uint16_t outliers = 0;
  compute::EncodeScalar(code, ends, 2, codes, &outliers);
  return outliers != 0;
}

RC_GTEST_PROP(Range, WithEndsOnCodesNothingInItIsAnOutlier, ()) {
  const int bits = *rc::gen::inRange(2, 9);
  const auto end = [] {
    return std::ldexp(static_cast<float>(*rc::gen::inRange(0, 10000)), *rc::gen::inRange(-40, 20));
  };
  const Range range = {-end(), end()};
  const Range wider = EndsOnCodes(range, bits);
  const StaticCode code = CodeOf(wider, bits);
  if (code.scale == 1 && range.high - range.low < 1e-20f) return;  // as good as empty
  RC_ASSERT(!IsOutside(code, range));
  // Of the codes on the longer side one is spent at most.
  const double low = -range.low, high = range.high;
  const double codes = code.largest * std::max(low, high) / (low + high);
  RC_ASSERT(static_cast<double>(wider.high - wider.low) * (codes - 1) <=
            (low + high) * codes * (1 + 1e-5));
}

TEST(Range, EndsAreOnCodesWhereRoundingWouldLeaveThePileUpOfGeluOutside) {
  const Range range = {-0.17f, 10};
  EXPECT_TRUE(IsOutside(CodeOf(range, 8), range));
  EXPECT_FALSE(IsOutside(CodeOf(EndsOnCodes(range, 8), 8), range));
  // Also where one end is nearly nothing.
  const Range nearly = EndsOnCodes({-0.17f, 1e-18f}, 8);
  EXPECT_NEAR(nearly.low, -0.17, 1e-5);
  EXPECT_GT(nearly.high, 0);
  EXPECT_LT(nearly.high, 0.001);
  // And where it is nothing: 83 / (83 / 7) is more than 7 in floats.
  EXPECT_TRUE(IsOutside(CodeOf({0, 83}, 3), {0, 83}));
  for (const Range side : {Range{0, 83}, Range{-83, 0}}) {
    const Range wider = EndsOnCodes(side, 3);
    EXPECT_FALSE(IsOutside(CodeOf(wider, 3), side));
    EXPECT_NEAR(wider.high - wider.low, 83, 0.001);
  }
}

TEST(Range, HasZeroInItAndAnEmptyOneHasScaleOne) {
  EXPECT_EQ(CodeOf({0, 0}, 8), (StaticCode{1, 0, 255}));
  EXPECT_EQ(CodeOf({2, 255}, 8), (StaticCode{1, 0, 255}));
  EXPECT_EQ(CodeOf({-63, -3}, 6), (StaticCode{1, 63, 63}));
}

TEST(Histogram, KnowsRangeAndErrorWhateverTheOrderAndTheParts) {
  std::vector<float> values = Normal(5000, 1, 1);
  for (const float x : Normal(50, 300, 2)) values.push_back(x);
  Histogram whole, parts, other;
  whole.Add(values.data(), static_cast<std::int64_t>(values.size()));
  std::reverse(values.begin(), values.end());
  for (std::size_t i = 0; i < values.size(); ++i) {
    (i % 3 == 0 ? other : parts).Add(&values[i], 1);
  }
  parts.Merge(other);
  parts.Merge(Histogram());
  for (const Histogram* histogram : {&whole, &parts}) {
    EXPECT_EQ(histogram->count(), 5050);
    EXPECT_EQ(histogram->range().low, *std::ranges::min_element(values));
    EXPECT_EQ(histogram->range().high, *std::ranges::max_element(values));
    for (const Range range : {histogram->range(), Range{-40, 40}}) {
      const StaticCode code = CodeOf(range, 8);
      const double exact = MeanSquaredError(code, values);
      EXPECT_NEAR(histogram->Error(code), exact, 0.05 * exact);
    }
  }
}

// Whatever the values, no narrower range of them leaves out as few.
RC_GTEST_PROP(Histogram, FindsTheNarrowestRangeWithoutOutliers, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 400);
  const double share = *rc::gen::element(0.0, 0.01, 0.1);
  std::vector<float> values =
      Normal(count, *rc::gen::element(0.001f, 1.0f, 1000.0f), *rc::gen::arbitrary<std::uint32_t>());
  Histogram histogram;
  histogram.Add(values.data(), static_cast<std::int64_t>(count));
  const Range found = histogram.WithoutOutliers(share);
  RC_ASSERT(found.low <= 0 && found.high >= 0);
  const auto outside =
      std::ranges::count_if(values, [&](float x) { return x < found.low || x > found.high; });
  RC_ASSERT(static_cast<double>(outside) <= share * static_cast<double>(count));
  RC_ASSERT(histogram.ShareOutside(found) <= share);

  std::ranges::sort(values);
  const auto most = static_cast<std::size_t>(share * static_cast<double>(count));
  double narrowest = 1e30;
  for (std::size_t i = 0; i <= most; ++i) {
    const double low = std::min(values[i], 0.0f);
    const double high = std::max(values[count - 1 - most + i], 0.0f);
    narrowest = std::min(narrowest, high - low);
  }
  // Each end lies in a bin that is a 32nd of its value wide.
  RC_ASSERT(static_cast<double>(found.high) - static_cast<double>(found.low) <= 1.04 * narrowest);
}

TEST(Histogram, CountsNoErrorForOutliersThatAreKept) {
  std::vector<float> values = Normal(1000, 1, 5);
  values.push_back(500);
  Histogram histogram;
  histogram.Add(values.data(), static_cast<std::int64_t>(values.size()));
  const Range range = histogram.WithoutOutliers(0.001);
  EXPECT_LT(range.high, 5);
  StaticCode code = CodeOf(range, 8);
  EXPECT_GT(histogram.Error(code), 200);
  code.keeps_outliers = true;
  EXPECT_NEAR(histogram.Error(code), std::pow(static_cast<double>(code.scale), 2) / 12,
              0.1 * std::pow(static_cast<double>(code.scale), 2) / 12);
  EXPECT_EQ(histogram.WithoutOutliers(0).high, 500);
}

TEST(Histogram, OfZerosAloneHasAnEmptyRange) {
  const std::vector<float> zeros(10, 0.0f);
  Histogram histogram;
  histogram.Add(zeros.data(), 10);
  EXPECT_EQ(histogram.range().low, 0);
  EXPECT_EQ(histogram.range().high, 0);
  EXPECT_EQ(CodeOf(LeastSquares(histogram, 8), 8), (StaticCode{1, 0, 255}));
}

RC_GTEST_PROP(LeastSquares, IsNeverWorseThanTheWholeRange, ()) {
  const int bits = *rc::gen::element(8, 6, 4);
  std::vector<float> values = Normal(2000, 1, *rc::gen::arbitrary<std::uint32_t>());
  values.push_back(static_cast<float>(*rc::gen::inRange(-200, 200)));
  Histogram histogram;
  histogram.Add(values.data(), static_cast<std::int64_t>(values.size()));
  const Range best = LeastSquares(histogram, bits);
  const Range whole = histogram.range();
  RC_ASSERT(best.low >= whole.low && best.high <= whole.high);
  RC_ASSERT(histogram.Error(CodeOf(best, bits)) <= histogram.Error(CodeOf(whole, bits)));
}

TEST(LeastSquares, CutsOffWhatCostsAllOthers) {
  std::vector<float> values = Normal(100000, 1, 3);
  values.push_back(100);
  Histogram histogram;
  histogram.Add(values.data(), static_cast<std::int64_t>(values.size()));
  const double least = MeanSquaredError(CodeOf(LeastSquares(histogram, 4), 4), values);
  EXPECT_LT(least, 0.3 * MeanSquaredError(CodeOf(histogram.range(), 4), values));
  // No other symmetric range is much better.
  for (float end = 0.5f; end < 100; end *= 1.2f) {
    EXPECT_GT(MeanSquaredError(CodeOf({-end, end}, 4), values), 0.95 * least);
  }
}

}  // namespace
}  // namespace ondine::quant
