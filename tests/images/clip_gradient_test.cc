#include "models/clip_gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "base/temp_dir.h"
#include "images/tiny_clip.h"

namespace ondine::models {
namespace {

using Tokens = std::vector<std::int32_t>;

class ClipGradientTest : public ::testing::TestWithParam<WeightPlace> {
 protected:
  void Load(ClipActivation activation) {
    const std::string path = folder_.File("tiny.gguf");
    ASSERT_TRUE(testing::TinyClip(activation).WriteGguf(path).has_value());
    clip_ = *Clip::Load(*formats::GgufFile::Open(path), pool_);
    // As steep as a real one's, else differences drown in rounding.
    upstream_.resize(2 * static_cast<std::size_t>(clip_->spec().projection));
    for (std::size_t i = 0; i < upstream_.size(); ++i) {
      upstream_[i] = 10 * std::sin(static_cast<float>(i * i) + 0.3f);
    }
  }
  std::vector<ClipText> Texts() const {
    return {{.tokens = first_, .log_weights = weights_[0]},
            {.tokens = second_, .log_weights = weights_[1]}};
  }
  double Value() {
    std::vector<float> vectors(upstream_.size());
    ClipPass(clip_, pool_).EncodeTexts(Texts(), GetParam(), vectors.data());
    double sum = 0;
    for (std::size_t i = 0; i < vectors.size(); ++i) sum += double{vectors[i]} * upstream_[i];
    return sum;
  }
  std::vector<float> Gradient() {
    std::vector<float> gradient(first_.size() + second_.size());
    (*ClipGradient::Create(clip_, pool_))
        ->LogWeights(Texts(), GetParam(), upstream_.data(), gradient);
    return gradient;
  }
  void ExpectEqualsDifferences() {
    const std::vector<float> gradient = Gradient();
    std::size_t at = 0;
    double largest = 0;
    for (std::vector<float>& weights : weights_) {
      for (float& weight : weights) {
        const float before = weight;
        if (std::isinf(before)) {
          EXPECT_EQ(gradient[at++], 0);
          continue;
        }
        constexpr float kStep = 0.03f;
        weight = before + kStep;
        const double above = Value();
        weight = before - kStep;
        const double below = Value();
        weight = before;
        EXPECT_NEAR(gradient[at], (above - below) / (2 * kStep), 2e-3) << at;
        largest = std::max(largest, std::abs(double{gradient[at]}));
        ++at;
      }
    }
    EXPECT_GT(largest, 0.1);
  }

  const testing::TempDir folder_;
  compute::ThreadPool pool_{2};
  std::shared_ptr<const Clip> clip_;
  const Tokens first_ = {517, 513, 70, 71, 516, 80, 518}, second_ = {517, 90, 516, 518};
  std::vector<std::vector<float>> weights_ = {{0, 0.5f, -0.7f, 1, 0, 0.2f, 0}, {0, 0, 2, 0}};
  std::vector<float> upstream_;
};

TEST_P(ClipGradientTest, EqualsDifferences) {
  for (const auto activation : {ClipActivation::kQuickGelu, ClipActivation::kGelu}) {
    Load(activation);
    ExpectEqualsDifferences();
  }
}

TEST_P(ClipGradientTest, WeightsOfZeroHaveNone) {
  Load(ClipActivation::kQuickGelu);
  weights_[0][2] = -std::numeric_limits<float>::infinity();
  ExpectEqualsDifferences();
}

TEST_P(ClipGradientTest, ManyTextsHaveTheGradientsOfEachAlone) {
  Load(ClipActivation::kQuickGelu);
  const std::vector<float> alone = Gradient();
  std::vector<ClipText> many;
  std::vector<float> upstream;
  for (int i = 0; i < 50; ++i) {
    for (const ClipText& text : Texts()) many.push_back(text);
    upstream.insert(upstream.end(), upstream_.begin(), upstream_.end());
  }
  std::vector<float> gradient(50 * alone.size());
  (*ClipGradient::Create(clip_, pool_))->LogWeights(many, GetParam(), upstream.data(), gradient);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    EXPECT_EQ(gradient[i], alone[i % alone.size()]);
  }
}

INSTANTIATE_TEST_SUITE_P(Places, ClipGradientTest,
                         ::testing::Values(WeightPlace{}, WeightPlace{.first_block = 1},
                                           WeightPlace{.for_last_row_only = true}));

}  // namespace
}  // namespace ondine::models
