#include "engine/range_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ondine::engine {
namespace {

// What GELU gives: most of it a little below zero, few large values, one very large.
quant::Histogram Values() {
  std::vector<float> values(20000);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = -0.17f + 1e-5f * static_cast<float>(i % 100);
  }
  for (std::size_t i = 0; i < 100; ++i) values[i * 199] = 0.05f * static_cast<float>(i);
  values[7] = 60;
  quant::Histogram histogram;
  histogram.Add(values.data(), static_cast<std::int64_t>(values.size()));
  return histogram;
}

double ShareOutside(const RangeRule& rule, int bits) {
  const quant::Histogram values = Values();
  const auto codes =
      CodesOf({{rule.RangeOf(values, bits), {0, 1}, {0, 1}, {0, 1}}}, bits, rule.KeepsOutliers());
  const compute::StaticCode& code = codes.at(0).of_site[0];
  EXPECT_EQ(code.keeps_outliers, rule.KeepsOutliers());
  EXPECT_EQ(code.largest, (1 << bits) - 1);
  return values.ShareOutside({-static_cast<float>(code.zero) * code.scale,
                              static_cast<float>(code.largest - code.zero) * code.scale});
}

TEST(RangeRule, LeavesOutNoMoreThanTheShareThatStaysFloats) {
  for (const int bits : {8, 6}) {
    for (const double share : {0.0001, 0.002}) {
      const double outside = ShareOutside({RangeChoice::kOutliers, share}, bits);
      EXPECT_GT(outside, 0);
      EXPECT_LE(outside, share);
    }
  }
  EXPECT_EQ(ShareOutside({RangeChoice::kLearned, 0.002}, 8),
            ShareOutside({RangeChoice::kOutliers, 0.002}, 8));
}

TEST(RangeRule, OthersKeepNone) {
  EXPECT_FALSE((RangeRule{RangeChoice::kMinMax, 0.002}.KeepsOutliers()));
  EXPECT_FALSE((RangeRule{RangeChoice::kLeastSquares, 0.002}.KeepsOutliers()));
  const quant::Range all = RangeRule{RangeChoice::kMinMax, 0}.RangeOf(Values(), 8);
  EXPECT_EQ(all.high, 60);
}

TEST(RangeRule, SharesAndSchemesAreChecked) {
  EXPECT_FALSE((RangeRule{RangeChoice::kOutliers, -0.1}.Check()));
  EXPECT_FALSE((RangeRule{RangeChoice::kOutliers, NAN}.Check()));
  EXPECT_TRUE((RangeRule{RangeChoice::kOutliers, 0}.Check()));
  EXPECT_EQ(ParseScheme("w6a8")->weight_bits, 6);
  for (const char* wrong : {"", "w8a", "w8a16", "w9a8", "w1a8", "a8w8"}) {
    EXPECT_FALSE(ParseScheme(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace ondine::engine
