#include "engine/choice_scores.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "compute/elementwise.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"

namespace ondine::engine {
namespace {

using ::testing::HasSubstr;
using testing::RandomProse;
using ::testing::SizeIs;

std::vector<ChoiceScore> Score(ChoiceScorer& scorer, const std::string& context,
                               const std::vector<std::string>& continuations) {
  auto scores = scorer.Score(context, continuations);
  EXPECT_TRUE(scores) << scores.error().ToString();
  return scores ? *scores : std::vector<ChoiceScore>();
}

std::vector<ChoiceScore> ScoreAlone(const std::shared_ptr<const Model>& model,
                                    const std::string& context, const std::string& continuation) {
  ChoiceScorer scorer(model, 1);
  return Score(scorer, context, {continuation});
}

// From the logits of the whole text, token by token.
double Naive(const Model& model, const std::string& context, const std::string& continuation) {
  const Model::Parts& parts = model.parts();
  compute::ThreadPool pool(1);
  models::DecoderPass pass(parts.decoder, pool);
  const std::vector<TokenId> tokens = parts.tokenizer.Encode(context + continuation);
  models::KvCache cache(parts.decoder->spec(), {static_cast<std::int64_t>(tokens.size()),
                                                compute::KvType::kF16, models::Positions::kReset});
  std::vector<float> logits(static_cast<std::size_t>(parts.decoder->vocabulary()));
  double sum = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    cache.Prepare(1);
    pass.Run({&tokens[i], 1}, cache);
    if (i + 1 < parts.tokenizer.Encode(context).size()) continue;
    pass.Logits(0, 1, logits);
    sum += logits[static_cast<std::size_t>(tokens[i + 1])] - compute::LogSumExp(logits);
  }
  return sum;
}

class ChoiceScores : public ::testing::TestWithParam<bool> {
 protected:
  const std::shared_ptr<const Model>& model() const {
    return GetParam() ? testing::TinyGemmaModel() : testing::TinyLlamaModel();
  }
};

TEST_P(ChoiceScores, AreTheLogitsOfTheWholeText) {
  ChoiceScorer scorer(model(), 1);
  for (const std::size_t context_size : {1, 20, 64, 65, 200}) {
    const std::string context = RandomProse(context_size, 3);
    std::vector<std::string> continuations;
    for (const std::size_t size : {1, 2, 30, 90, 300})
      continuations.push_back(RandomProse(size, 8));
    const auto scores = Score(scorer, context, continuations);
    ASSERT_THAT(scores, SizeIs(continuations.size()));
    for (std::size_t i = 0; i < scores.size(); ++i) {
      EXPECT_EQ(scores[i].tokens, static_cast<std::int64_t>(continuations[i].size()));
      EXPECT_NEAR(scores[i].log_likelihood, Naive(*model(), context, continuations[i]),
                  5e-3 * static_cast<double>(continuations[i].size()));
    }
  }
}

TEST_P(ChoiceScores, DoNotDependOnWhatIsBesideThem) {
  std::vector<std::string> continuations;
  for (const std::size_t size : {5, 1, 80, 12, 300}) {
    continuations.push_back(RandomProse(size, static_cast<std::uint32_t>(size)));
  }
  const std::string context = RandomProse(150);
  ChoiceScorer scorer(model(), 1);
  const auto scores = Score(scorer, context, continuations);
  std::reverse(continuations.begin(), continuations.end());
  const auto reversed = Score(scorer, context, continuations);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const std::size_t other = scores.size() - 1 - i;
    EXPECT_EQ(scores[i].log_likelihood, reversed[other].log_likelihood);
    EXPECT_EQ(scores[i].log_likelihood,
              ScoreAlone(model(), context, continuations[other]).front().log_likelihood);
  }
}

TEST_P(ChoiceScores, DoNotDependOnWhatWasScoredBefore) {
  const std::string shared = RandomProse(140);
  ChoiceScorer scorer(model(), 1);
  // Each shares more, less or all of its beginning with the one before.
  for (const std::size_t same : {140, 128, 127, 100, 64, 63, 0, 140, 140}) {
    for (const std::size_t own : {0, 40, 300}) {
      const std::string context = shared.substr(0, same) + RandomProse(own + 1, 7);
      EXPECT_EQ(Score(scorer, context, {" so"}).front().log_likelihood,
                ScoreAlone(model(), context, " so").front().log_likelihood)
          << same << " " << own;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, ChoiceScores, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "SlidingWindow" : "Global"; });

TEST(ChoiceScorer, RefusesWhatHasNoTokensOrTooMany) {
  ChoiceScorer scorer(testing::TinyLlamaModel(), 1);
  const auto code = [&](const std::string& context, const std::string& continuation) {
    const auto scores = scorer.Score(context, std::vector{continuation});
    EXPECT_FALSE(scores);
    return scores ? ErrorCode::kInternal : scores.error().code;
  };
  EXPECT_EQ(code("", " a"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("a", ""), ErrorCode::kInvalidArgument);
  const auto most = static_cast<std::size_t>(testing::TinyLlamaModel()->info().trained_context);
  EXPECT_EQ(code(RandomProse(most), " a"), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(scorer.Score(RandomProse(most - 2), std::vector<std::string>{" a"}));
}

TEST(ChoiceScorer, GoesOnAfterItWasStopped) {
  const std::vector<std::string> continuations = {" one", " other"};
  ChoiceScorer scorer(testing::TinyLlamaModel(), 1);
  const auto before = Score(scorer, "So it is", continuations);
  StopToken stop;
  stop.Stop();
  for (const char* context : {"So it is", "It was"}) {
    const auto stopped = scorer.Score(context, continuations, stop);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  }
  const auto after = Score(scorer, "So it is", continuations);
  EXPECT_EQ(before[1].log_likelihood, after[1].log_likelihood);
}

}  // namespace
}  // namespace ondine::engine
