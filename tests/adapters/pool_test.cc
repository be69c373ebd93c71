#include "adapters/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "adapters/adapter_fixture.h"

namespace ondine::adapters {
namespace {

using namespace ::ondine::testing;
using Weights = std::vector<double>;

class PoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel({}, folder_.File("tiny.gguf")));
    decoder_ = LoadDecoder(folder_.File("tiny.gguf"));
    pool_ = RandomPool(*decoder_, 4, 2);
  }

  // What a blend adds to one matrix.
  static std::vector<float> Added(const Pool& pool, const Weights& weights, BlendForm form) {
    const auto lora = Blend(pool, weights, form);
    EXPECT_TRUE(lora);
    const auto& [tensor, factors] = *lora->matrices.begin();
    return ::ondine::testing::Product(factors, lora->Factor(factors));
  }

  TempDir folder_;
  std::shared_ptr<const models::Decoder> decoder_;
  Pool pool_;
};

TEST_F(PoolTest, OneHotWeightsReturnThatAdapter) {
  for (const BlendForm form : {BlendForm::kSeparate, BlendForm::kProduct}) {
    for (std::size_t n = 0; n < pool_.size(); ++n) {
      Weights weights(pool_.size());
      weights[n] = 1;
      const auto& factors = pool_.matrices.begin()->second[n];
      const auto factor = static_cast<float>(pool_.alpha / static_cast<double>(factors.rank));
      EXPECT_EQ(Added(pool_, weights, form), ::ondine::testing::Product(factors, factor));
    }
  }
}

TEST_F(PoolTest, ProductIsTheSumOfProducts) {
  const Weights weights = {0.4, 0.3, 0.2, 0.1};
  const std::vector<float> added = Added(pool_, weights, BlendForm::kProduct);
  std::vector<float> sum(added.size());
  for (std::size_t n = 0; n < pool_.size(); ++n) {
    const auto& factors = pool_.matrices.begin()->second[n];
    const auto one = ::ondine::testing::Product(
        factors, static_cast<float>(weights[n] * pool_.alpha / static_cast<double>(factors.rank)));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one[i];
  }
  EXPECT_LT(LargestDifference(added, sum), 1e-6f);
  const auto lora = Blend(pool_, weights, BlendForm::kProduct);
  EXPECT_EQ(lora->matrices.begin()->second.rank, 4 * 2);
  EXPECT_EQ(lora->alpha, 4 * pool_.alpha);
  EXPECT_EQ(Blend(pool_, weights, BlendForm::kSeparate)->matrices.begin()->second.rank, 2);
}

// separate = product - 1/2 sum_ij w_i w_j (B_i - B_j)(A_i - A_j), where the weights sum up to 1.
TEST_F(PoolTest, SeparateAndProductDifferByTheSpreadOfTheFactors) {
  const Weights weights = {0.4, 0.3, 0.2, 0.1};
  std::vector<float> expected = Added(pool_, weights, BlendForm::kProduct);
  const std::vector<LowRankFactors>& all = pool_.matrices.begin()->second;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) {
      LowRankFactors difference = all[i];
      for (std::size_t k = 0; k < difference.a.size(); ++k) difference.a[k] -= all[j].a[k];
      for (std::size_t k = 0; k < difference.b.size(); ++k) difference.b[k] -= all[j].b[k];
      const auto spread = ::ondine::testing::Product(
          difference, static_cast<float>(0.5 * weights[i] * weights[j] * pool_.alpha / 2));
      for (std::size_t k = 0; k < expected.size(); ++k) expected[k] -= spread[k];
    }
  }
  const auto separate = Added(pool_, weights, BlendForm::kSeparate);
  EXPECT_LT(LargestDifference(separate, expected), 1e-5f);
  EXPECT_GT(LargestDifference(separate, Added(pool_, weights, BlendForm::kProduct)), 0.01f);
}

TEST_F(PoolTest, EqualAdaptersReturnThemselves) {
  for (auto& [tensor, all] : pool_.matrices) std::fill(all.begin(), all.end(), all.front());
  const auto& factors = pool_.matrices.begin()->second.front();
  const auto one = ::ondine::testing::Product(factors, static_cast<float>(pool_.alpha / 2));
  for (const BlendForm form : {BlendForm::kSeparate, BlendForm::kProduct}) {
    EXPECT_LT(LargestDifference(Added(pool_, {0.4, 0.3, 0.2, 0.1}, form), one), 1e-6f);
  }
}

TEST_F(PoolTest, OrderOfThePoolDoesNotMatter) {
  Pool reversed = pool_;
  std::reverse(reversed.tasks.indicators.begin(), reversed.tasks.indicators.end());
  for (auto& [tensor, all] : reversed.matrices) std::reverse(all.begin(), all.end());
  std::vector<float> feature = pool_.tasks.mean;
  feature[3] += 1;
  feature[7] -= 2;
  Weights weights = *Similarities(pool_.tasks, feature),
          backwards = *Similarities(reversed.tasks, feature);
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(weights, backwards);
  weights = SoftmaxOf(weights, 0.1);
  backwards.assign(weights.rbegin(), weights.rend());
  for (const BlendForm form : {BlendForm::kSeparate, BlendForm::kProduct}) {
    EXPECT_LT(LargestDifference(Added(pool_, weights, form), Added(reversed, backwards, form)),
              1e-6f);
  }
}

TEST_F(PoolTest, SimilarityIsTheCosineAfterTheMeanIsTakenOff) {
  std::vector<float> feature = pool_.tasks.mean;
  for (std::size_t i = 0; i < feature.size(); ++i) feature[i] += 3 * pool_.tasks.indicators[2][i];
  EXPECT_NEAR((*Similarities(pool_.tasks, feature))[2], 1, 1e-5);
  EXPECT_THAT(*Similarities(pool_.tasks, pool_.tasks.mean), ::testing::Each(0.0));
  feature.pop_back();
  EXPECT_EQ(Similarities(pool_.tasks, feature).error().code, ErrorCode::kMismatch);
  feature.push_back(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(Similarities(pool_.tasks, feature).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(PoolTest, TemperatureGoesFromTheNearestToAllAlike) {
  const Weights similarities = {0.1, 0.5, -0.3, 0.4};
  for (const double temperature : {1e-6, 0.02, 0.1, 1.0, 1e9}) {
    const Weights weights = SoftmaxOf(similarities, temperature);
    EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-12);
    EXPECT_EQ(std::max_element(weights.begin(), weights.end()) - weights.begin(), 1);
  }
  EXPECT_EQ(SoftmaxOf(similarities, 1e-6)[1], 1);
  EXPECT_NEAR(SoftmaxOf(similarities, 1e9)[2], 0.25, 1e-6);
  EXPECT_THAT(SoftmaxOf({0, 0, 0, 0}, 0.1), ::testing::Each(0.25));
}

TEST_F(PoolTest, WrongWeightsAreErrors) {
  EXPECT_EQ(Blend(pool_, {1, 0}, BlendForm::kSeparate).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Blend(pool_, {1, 0, 0, std::numeric_limits<double>::quiet_NaN()}, BlendForm::kSeparate)
                .error()
                .code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ondine::adapters
