#include "train/pool_items.h"

#include <gtest/gtest.h>

#include "engine/engine_fixture.h"
#include "train/engine_scores.h"

namespace ondine::testing {
namespace {

TEST(PoolItems, AreScoredOfTheEnginesTokens) {
  // "n" + "ds" as one text has the token "nd": the engine still runs the context with its "n".
  const auto model = LoadTinyModel({.merged = "nd"});
  eval::McqaItem item;
  item.prompt = "The question is an";
  for (const char* continuation : {"ds of it", " answer", "t"}) {
    item.choices.push_back({item.prompt, continuation, continuation});
  }
  ExpectAgreement(TwinScores(*model, nullptr, item), EngineScores(model, nullptr, item));
}

}  // namespace
}  // namespace ondine::testing
