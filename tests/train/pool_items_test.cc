#include "train/pool_items.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

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

// The features 0, 1, ... of `count` items of a set.
void AddItems(const std::string& task, int count, train::PoolItems& items) {
  for (int i = 0; i < count; ++i) {
    train::PoolItem item;
    item.task = task;
    item.feature = {static_cast<float>(i)};
    items.items.push_back(item);
  }
}

TEST(PoolItems, ShareFeaturesWithOthersOfTheirSetAlone) {
  train::PoolItems items;
  AddItems("large", 25, items);
  AddItems("small", 3, items);
  train::ShareFeatures(10, 1, items);
  std::map<float, int> members;  // of each group, by what they share
  double sum = 0;
  for (std::size_t i = 0; i < 25; ++i) {
    ++members[items.items[i].feature[0]];
    sum += static_cast<double>(items.items[i].feature[0]);
  }
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(std::min(members.begin()->second, members.rbegin()->second), 10);
  EXPECT_NEAR(sum, 24 * 25 / 2, 1e-3);  // so each is the mean of its members
  for (std::size_t i = 25; i < 28; ++i) EXPECT_EQ(items.items[i].feature[0], 1);
}

TEST(PoolItems, AloneKeepTheirFeatures) {
  train::PoolItems items;
  AddItems("set", 5, items);
  train::ShareFeatures(1, 1, items);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(items.items[static_cast<std::size_t>(i)].feature[0], i);
}

TEST(PoolItems, OfOneFeatureHaveOneAdapterThatPoolFilesTake) {
  train::PoolItems items;
  AddItems("set", 3, items);
  for (train::PoolItem& item : items.items) item.feature = {3, 4};
  EXPECT_FALSE(train::FindTasks(items, 2, 1));
  const auto tasks = train::FindTasks(items, 1, 1);
  ASSERT_TRUE(tasks);
  EXPECT_EQ(tasks->mean, (std::vector<float>{3, 4}));
  // Of length 1, as those of a pool file must be.
  EXPECT_EQ(tasks->indicators, (std::vector<std::vector<float>>{{1, 0}}));
}

}  // namespace
}  // namespace ondine::testing
