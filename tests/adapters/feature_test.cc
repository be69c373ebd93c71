#include "adapters/feature.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "adapters/adapter_fixture.h"
#include "compute/elementwise.h"

namespace ondine::adapters {
namespace {

using namespace ::ondine::testing;
using Prompt = std::vector<std::int32_t>;

class FeatureTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel({.architecture = GetParam(), .window = 16, .seed = 3},
                               folder_.File("tiny.gguf")));
    decoder_ = LoadDecoder(folder_.File("tiny.gguf"));
  }

  std::vector<float> Feature(const std::vector<Prompt>& prompts) const {
    return FeatureReader(decoder_).Read(prompts);
  }

  // The mean of the projections, token by token, as the paper has it.
  std::vector<double> Naive(const Prompt& prompt) const {
    const models::DecoderSpec& spec = decoder_->spec();
    const models::DecoderLayer& layer = decoder_->layers().front();
    std::vector<double> mean(static_cast<std::size_t>(layer.query.out()));
    std::vector<float> x(static_cast<std::size_t>(spec.width)), w(x.size());
    for (const std::int32_t token : prompt) {
      decoder_->embedding().GetRow(token, x.data());
      for (float& value : x) value *= spec.embedding_scale;
      models::Normalize(layer.attention_norm, spec.norm_epsilon, x, x);
      for (std::size_t i = 0; i < mean.size(); ++i) {
        layer.query.GetRow(static_cast<std::int64_t>(i), w.data());
        double sum = spec.qkv_bias ? layer.query_bias[i] : 0;
        for (std::size_t j = 0; j < w.size(); ++j) sum += static_cast<double>(w[j]) * x[j];
        mean[i] += sum / static_cast<double>(prompt.size());
      }
    }
    return mean;
  }

  TempDir folder_;
  std::shared_ptr<const models::Decoder> decoder_;
};

TEST_P(FeatureTest, IsTheMeanOfTheProjections) {
  const Prompt one = {5, 77, 200, 77}, two = {9};
  const std::vector<float> feature = Feature({one});
  const std::vector<double> naive = Naive(one);
  ASSERT_EQ(feature.size(), naive.size());
  for (std::size_t i = 0; i < naive.size(); ++i) EXPECT_NEAR(feature[i], naive[i], 1e-5);
  // Prompts count alike, whatever their length.
  const std::vector<float> both = Feature({one, two}), other = Feature({two});
  for (std::size_t i = 0; i < both.size(); ++i) {
    EXPECT_NEAR(both[i], (feature[i] + other[i]) / 2, 1e-5);
  }
}

TEST_P(FeatureTest, OrderDoesNotMatter) {
  const Prompt one = {5, 77, 200, 31, 8}, two = {9, 9, 1};
  Prompt shuffled = one;
  std::reverse(shuffled.begin(), shuffled.end());
  EXPECT_LT(LargestDifference(Feature({one, two}), Feature({two, shuffled})), 1e-6f);
}

INSTANTIATE_TEST_SUITE_P(Architectures, FeatureTest, ::testing::Values("llama", "qwen2", "gemma3"));

}  // namespace
}  // namespace ondine::adapters
