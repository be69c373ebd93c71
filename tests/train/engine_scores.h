// What training computes of a question against what the engine scores of it.
#ifndef ONDINE_TESTS_TRAIN_ENGINE_SCORES_H_
#define ONDINE_TESTS_TRAIN_ENGINE_SCORES_H_

#include <gtest/gtest.h>
#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/choice_scores.h"
#include "engine/model_parts.h"
#include "eval/mcqa_data.h"
#include "train/choice_loss.h"
#include "train/pool_items.h"

namespace ondine::testing {

// Log-likelihood of each choice by the twin.
inline std::vector<double> TwinScores(const Model& model, const train::Additions* additions,
                                      const eval::McqaItem& item) {
  const torch::NoGradGuard no_gradient;
  const Model::Parts& parts = model.parts();
  const auto twin = train::DecoderTwin::Create(*parts.decoder, torch::kCPU);
  EXPECT_TRUE(twin) << twin.error().ToString();
  const auto items =
      TokenizeItems({&item, 1}, parts.tokenizer, adapters::FeatureReader(parts.decoder),
                    train::Options::kAll, 512);
  EXPECT_TRUE(items) << items.error().ToString();
  train::ChoiceTree choice = items->items.front().choice;
  const train::ChoiceTree* one[] = {&choice};
  std::vector<double> scores;
  for (choice.gold = 0; choice.gold < choice.options.size(); ++choice.gold) {
    scores.push_back(-ComputeLosses(*twin, additions, one).answer.item<double>());
  }
  return scores;
}

inline std::vector<engine::ChoiceScore> EngineScores(const std::shared_ptr<const Model>& model,
                                                     std::shared_ptr<const Adapter> adapter,
                                                     const eval::McqaItem& item) {
  engine::ChoiceScorer scorer(model, 1);
  if (adapter != nullptr) {
    const ScaledAdapter adapters[] = {{std::move(adapter), 1}};
    EXPECT_TRUE(scorer.SetAdapters(adapters));
  }
  std::vector<std::string> continuations;
  for (const eval::McqaChoice& choice : item.choices) continuations.push_back(choice.continuation);
  const auto scores = scorer.Score(item.choices.front().context, continuations);
  EXPECT_TRUE(scores) << scores.error().ToString();
  return scores.value_or(std::vector<engine::ChoiceScore>());
}

// Of each token: the engine keeps keys and values in 16 bits.
inline void ExpectAgreement(const std::vector<double>& twin,
                            const std::vector<engine::ChoiceScore>& engine) {
  ASSERT_EQ(twin.size(), engine.size());
  for (std::size_t i = 0; i < twin.size(); ++i) {
    EXPECT_NEAR(twin[i], engine[i].log_likelihood, 5e-3 * static_cast<double>(engine[i].tokens));
  }
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_ENGINE_SCORES_H_
