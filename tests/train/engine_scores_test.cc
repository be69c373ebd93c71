// What training computes of a question is what the engine scores of it.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "engine/choice_scores.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"
#include "train/choice_loss.h"
#include "train/pool_items.h"

namespace ondine::testing {
namespace {

using train::DecoderTwin;

eval::McqaItem Item(const std::string& context, const std::vector<std::string>& continuations) {
  eval::McqaItem item;
  item.prompt = context;
  for (const std::string& continuation : continuations) {
    item.choices.push_back({context, continuation, continuation});
  }
  return item;
}

// Log-likelihood of each option.
std::vector<double> TwinScores(const DecoderTwin& twin, const train::Additions* additions,
                               train::ChoiceTree choice) {
  const torch::NoGradGuard no_gradient;
  std::vector<double> scores;
  for (choice.gold = 0; choice.gold < choice.options.size(); ++choice.gold) {
    const train::ChoiceTree* items[] = {&choice};
    scores.push_back(-ComputeLosses(twin, additions, items).answer.item<double>());
  }
  return scores;
}

// Of each token: the engine keeps keys and values in 16 bits.
constexpr double kTolerance = 5e-3;

TEST(EngineScores, AreTheTwinsAlsoWhereATokenReachesOverTheBorder) {
  // "n" + "ds" as one text has the token "nd": the engine still runs the context with its "n".
  const auto model = LoadTinyModel({.merged = "nd"});
  const Model::Parts& parts = model->parts();
  const std::vector<std::string> continuations = {"ds of it", " answer", "t"};
  const eval::McqaItem item = Item("The question is an", continuations);
  const auto items =
      TokenizeItems({&item, 1}, parts.tokenizer, *parts.decoder, train::Options::kAll, 99);
  ASSERT_TRUE(items) << items.error().ToString();
  const auto twin = DecoderTwin::Create(*parts.decoder, torch::kCPU);
  ASSERT_TRUE(twin);
  const auto twins = TwinScores(*twin, nullptr, items->items[0].choice);
  engine::ChoiceScorer scorer(model, 1);
  const auto engines = scorer.Score(item.prompt, continuations);
  ASSERT_TRUE(engines) << engines.error().ToString();
  for (std::size_t k = 0; k < engines->size(); ++k) {
    const std::int64_t tokens = (*engines)[k].tokens;
    EXPECT_EQ(static_cast<std::int64_t>(items->items[0].choice.options[k].size()), tokens);
    EXPECT_NEAR(twins[k], (*engines)[k].log_likelihood, kTolerance * static_cast<double>(tokens));
  }
}

}  // namespace
}  // namespace ondine::testing
