// Importance scores against a dense computation of the whole model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compute/elementwise.h"
#include "memory/attention_scores.h"
#include "memory/dense_model.h"
#include "memory/pot_fixture.h"

namespace ondine::testing {
namespace {

constexpr std::int64_t kText = 70, kCatalyst = 9;

class Importance : public ::testing::Test {
 protected:
  Importance() : text_(RandomText(kText)), catalyst_(RandomText(kCatalyst, 99)), all_(text_) {
    all_.insert(all_.end(), catalyst_.begin(), catalyst_.end());
  }

  // Reads the text and the catalyst; `scores` watches the catalyst.
  void Observe(memory::AttentionScores& scores, Reduce over_rows, bool past_only) {
    models::DecoderPass pass(TinyLlama(), pool_);
    models::KvCache cache(TinyLlama()->spec(),
                          {128, compute::KvType::kF16, models::Positions::kReset});
    ASSERT_TRUE(cache.Prepare(kText + kCatalyst));
    pass.Run(text_, cache);
    scores.Start(kText, kCatalyst, over_rows, past_only);
    pass.Run(catalyst_, cache, &scores);
  }

  // u[h, t] of a query head as the paper defines it.
  std::vector<double> DenseScores(const DenseRun& run, std::size_t layer, std::size_t head,
                                  Reduce over_rows, bool past_only) const {
    std::vector<double> scores(kText);
    for (std::size_t i = kText; i < all_.size(); ++i) {
      std::vector<double> row = run.weights[layer][head][i];
      if (past_only) {
        double sum = 0;
        for (std::size_t j = 0; j < kText; ++j) {
          sum += row[j] = std::exp(run.products[layer][head][i][j]);
        }
        for (double& weight : row) weight /= sum;
      }
      for (std::size_t j = 0; j < kText; ++j) {
        scores[j] = over_rows == Reduce::kMax ? std::max(scores[j], row[j]) : scores[j] + row[j];
      }
    }
    return scores;
  }

  static void ExpectClose(const std::vector<double>& expected, const std::vector<float>& actual) {
    double squares = 0, difference = 0;
    for (std::size_t j = 0; j < expected.size(); ++j) {
      squares += std::pow(expected[j], 2);
      difference += std::pow(expected[j] - static_cast<double>(actual[j]), 2);
    }
    // Keys and values are kept in 16 bits.
    EXPECT_LT(std::sqrt(difference / squares), 5e-3);
  }

  compute::ThreadPool pool_{2};
  const Tokens text_, catalyst_;
  Tokens all_;
};

TEST_F(Importance, CatalystScoresEqualADenseComputation) {
  const DenseRun run = RunDense(all_);
  const models::DecoderSpec& spec = TinyLlama()->spec();
  const auto group = static_cast<std::size_t>(spec.heads / spec.kv_heads);
  for (const bool past_only : {false, true}) {
    for (const Reduce over_rows : {Reduce::kSum, Reduce::kMax}) {
      memory::AttentionScores scores(spec, 128);
      Observe(scores, over_rows, past_only);
      for (int layer = 0; layer < spec.layers; ++layer) {
        std::vector<double> mean_of_all(kText);
        for (int kv = 0; kv < spec.kv_heads; ++kv) {
          std::vector<double> largest(kText), mean(kText);
          for (std::size_t g = 0; g < group; ++g) {
            const auto head =
                DenseScores(run, static_cast<std::size_t>(layer),
                            static_cast<std::size_t>(kv) * group + g, over_rows, past_only);
            for (std::size_t j = 0; j < kText; ++j) {
              largest[j] = std::max(largest[j], head[j]);
              mean[j] += head[j] / static_cast<double>(group);
              mean_of_all[j] += head[j] / spec.heads;
            }
          }
          std::vector<float> actual(kText);
          scores.ForHead(layer, kv, Reduce::kMax, actual);
          ExpectClose(largest, actual);
          scores.ForHead(layer, kv, Reduce::kMean, actual);
          ExpectClose(mean, actual);
        }
        std::vector<float> actual(kText);
        scores.ForLayer(layer, actual);
        ExpectClose(mean_of_all, actual);
      }
    }
  }
}

TEST_F(Importance, SurpriseEqualsADenseComputation) {
  const DenseRun run = RunDense(text_);
  PotSettings settings = SmallPot(128, PotPolicy::kSirLlm);
  auto pot = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*pot, text_));
  for (const auto& layer : pot->entries()) {
    for (const memory::HeadEntries& head : layer) {
      EXPECT_EQ(head.surprise[0], 0.0f);
      ExpectClose(run.surprise, head.surprise);
    }
  }
}

TEST_F(Importance, SurpriseReachesAcrossPassesAndParts) {
  PotSettings settings = SmallPot(128, PotPolicy::kSirLlm);
  auto whole = MakePot(TinyLlama(), pool_, settings);
  ASSERT_TRUE(Read(*whole, text_));
  auto parts = MakePot(TinyLlama(), pool_, settings);
  const auto middle = text_.begin() + 31;
  ASSERT_TRUE(Read(*parts, Tokens(text_.begin(), middle), Pot::Part::kPrefix));
  ASSERT_TRUE(Read(*parts, Tokens(middle, text_.end())));
  const auto& expected = whole->entries()[0][0].surprise;
  const auto& actual = parts->entries()[0][0].surprise;
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-3);
}

TEST_F(Importance, AListenerHearsEverySurpriseOnceInOrder) {
  auto pot = MakePot(TinyLlama(), pool_, SmallPot(48, PotPolicy::kStreaming));
  std::int64_t heard = 0;
  pot->OnSurprise([&](std::span<const float> values) {
    for (float value : values) {
      ASSERT_TRUE(std::isfinite(value));
      ++heard;
    }
  });
  ASSERT_TRUE(Read(*pot, RandomText(500)));
  EXPECT_EQ(heard, 500);
}

TEST_F(Importance, SurpriseInSlicesEqualsThatOfAllLogits) {
  models::DecoderPass pass(TinyLlama(), pool_);
  models::KvCache cache(TinyLlama()->spec(),
                        {128, compute::KvType::kF16, models::Positions::kReset});
  ASSERT_TRUE(cache.Prepare(kText));
  pass.Run(text_, cache);
  std::vector<float> surprise(kText - 1);
  pass.Surprise(std::span(text_).subspan(1), 1, surprise);
  std::vector<float> logits(kTinyVocabulary);
  for (std::size_t i = 0; i < surprise.size(); ++i) {
    pass.Logits(pass.Hidden(static_cast<std::int64_t>(i)), logits);
    const auto next = static_cast<std::size_t>(text_[i + 1]);
    EXPECT_NEAR(surprise[i], compute::LogSumExp(logits) - logits[next], 1e-4);
  }
}

// By the definition, in doubles: what is sampled stands for all the rest, the target for itself.
double EstimatedSurprise(const std::vector<float>& logits, std::size_t target, int stride) {
  constexpr auto kFrequent = static_cast<std::size_t>(models::HeadSurprise::kFrequent);
  constexpr auto kSlice = static_cast<std::size_t>(models::HeadSurprise::kSlice);
  double frequent = 0, sample = 0, sampled = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp(static_cast<double>(logits[i]));
    if (i < kFrequent) {
      frequent += weight;
    } else if ((i - kFrequent) / kSlice % static_cast<std::size_t>(stride) == 0) {
      sample += i == target ? 0 : weight;
      ++sampled;
    }
  }
  const double rest = static_cast<double>(logits.size() - kFrequent);
  double sum = frequent + sample * rest / sampled;
  if (target >= kFrequent) sum += std::exp(static_cast<double>(logits[target]));
  return std::log(sum) - static_cast<double>(logits[target]);
}

TEST_F(Importance, AStrideEstimatesSurpriseFromAPartOfTheRareTokens) {
  constexpr int kVocabulary = 10'000;  // 12 slices behind the frequent tokens, the last one short
  const auto decoder = LoadTiny({.extra_tokens = kVocabulary - kTinyVocabulary, .seed = 3});
  models::DecoderPass pass(decoder, pool_);
  models::KvCache cache(decoder->spec(), {128, compute::KvType::kF16, models::Positions::kReset});
  ASSERT_TRUE(cache.Prepare(kText));
  pass.Run(text_, cache);
  // Frequent, sampled, not sampled with strides 2 and 5, at the borders of slices.
  Tokens targets = {0, 256, 4095, 4096, 4607, 4608, 5119, 5120, 6656, 7168, 9215, 9216, 9999};
  std::vector<float> surprise(targets.size()), logits(kVocabulary);
  double difference = 0;
  for (const int stride : {1, 2, 5, 100}) {
    pass.Surprise(targets, stride, surprise);
    for (std::size_t i = 0; i < targets.size(); ++i) {
      pass.Logits(pass.Hidden(static_cast<std::int64_t>(i)), logits);
      const auto target = static_cast<std::size_t>(targets[i]);
      const double exact = compute::LogSumExp(logits) - logits[target];
      const double expected = stride == 1 ? exact : EstimatedSurprise(logits, target, stride);
      EXPECT_NEAR(surprise[i], expected, 1e-4) << stride << " " << target;
      difference = std::max(difference, std::abs(surprise[i] - exact));
      EXPECT_EQ(surprise[i],
                pass.Surprise(pass.Hidden(static_cast<std::int64_t>(i)), targets[i], stride));
    }
  }
  EXPECT_GT(difference, 1e-3);  // it is an estimate
}

}  // namespace
}  // namespace ondine::testing
