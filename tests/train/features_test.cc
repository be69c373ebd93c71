#include "train/features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compute/elementwise.h"
#include "train/twin_fixture.h"

namespace ondine::testing {
namespace {

using train::QueryFeatures;

// The definition, token by token: the mean of the projections.
std::vector<float> MeanOfProjections(const models::Decoder& decoder,
                                     const std::vector<std::int32_t>& tokens) {
  const models::DecoderLayer& layer = decoder.layers().front();
  std::vector<double> sums(static_cast<std::size_t>(layer.query.out()), 0.0);
  std::vector<float> e(static_cast<std::size_t>(decoder.spec().width)), row(e.size());
  for (const std::int32_t token : tokens) {
    decoder.embedding().GetRow(token, e.data());
    for (float& x : e) x *= decoder.spec().embedding_scale;
    compute::RmsNorm(e, layer.attention_norm, decoder.spec().norm_epsilon, e);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      layer.query.GetRow(static_cast<std::int64_t>(i), row.data());
      sums[i] += std::inner_product(e.begin(), e.end(), row.begin(), 0.0);
      if (!layer.query_bias.empty()) sums[i] += static_cast<double>(layer.query_bias[i]);
    }
  }
  std::vector<float> mean;
  for (const double sum : sums) {
    mean.push_back(static_cast<float>(sum / static_cast<double>(tokens.size())));
  }
  return mean;
}

TEST(QueryFeatures, AreTheMeanOfTheProjections) {
  compute::ThreadPool pool(1);
  for (const char* architecture : {"llama", "qwen2", "gemma3"}) {
    SCOPED_TRACE(architecture);
    const auto decoder = LoadTiny({.architecture = architecture, .width = 128}, pool);
    const QueryFeatures features(*decoder);
    std::vector<std::int32_t> tokens = SomeTokens(25);
    const std::vector<float> q = features.Of(tokens),
                             expected = MeanOfProjections(*decoder, tokens);
    ASSERT_EQ(q.size(), expected.size());
    std::reverse(tokens.begin(), tokens.end());
    const std::vector<float> shuffled = features.Of(tokens);
    for (std::size_t i = 0; i < q.size(); ++i) {
      EXPECT_NEAR(q[i], expected[i], 1e-4);
      EXPECT_NEAR(q[i], shuffled[i], 1e-5);
    }
  }
}

TEST(BlendWeights, LimitsOfTheTemperature) {
  train::Points indicators;
  indicators.dim = 2;
  indicators.values = {1, 0, 0, 1, 0.6f, 0.8f};
  std::vector<float> z = {4, 5};
  train::Center(z, std::vector<float>{1, 1});
  EXPECT_NEAR(z[0], 0.6, 1e-6);
  EXPECT_NEAR(z[1], 0.8, 1e-6);
  const std::vector<float> cold = train::BlendWeights(z, indicators, 1e-3);
  EXPECT_NEAR(cold[2], 1, 1e-6);
  for (const float weight : train::BlendWeights(z, indicators, 1e6))
    EXPECT_NEAR(weight, 1 / 3.0, 1e-5);
  const std::vector<float> same = train::BlendWeights(z, indicators, 0.1);
  EXPECT_NEAR(std::accumulate(same.begin(), same.end(), 0.0), 1, 1e-6);
  EXPECT_GT(same[2], same[1]);

  std::vector<float> nowhere = {1, 1};
  train::Center(nowhere, std::vector<float>{1, 1});
  for (const float weight : train::BlendWeights(nowhere, indicators, 0.1)) {
    EXPECT_NEAR(weight, 1 / 3.0, 1e-6);
  }
}

}  // namespace
}  // namespace ondine::testing
