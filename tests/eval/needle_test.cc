#include "eval/needle.h"

#include <gmock/gmock.h>

#include <set>

#include "eval/fixture.h"

namespace ondine::eval {
namespace {

class NeedleTest : public EvalTest {
 protected:
  void SetUp() override { WriteText(essays() / "essay.txt", Sentences(0, 200)); }

  std::unique_ptr<Task> Make(std::uint64_t seed) const {
    NeedleOptions options;
    options.data = data();
    options.lengths = {2000, 4000};
    options.items = 3;
    options.seed = seed;
    auto task = MakeNeedleTask(model_, options);
    EXPECT_TRUE(task) << task.error().ToString();
    return std::move(*task);
  }
};

TEST_F(NeedleTest, EveryDocumentHoldsEachKindOfNeedleAtItsDepth) {
  const auto task = Make(1);
  ASSERT_EQ(task->size(), 6);
  for (std::int64_t i = 0; i < task->size(); ++i) {
    const auto item = task->Make(i);
    ASSERT_TRUE(item);
    const double length = i < 3 ? 2000 : 4000;
    std::set<std::string> kinds, depths;
    for (const Query& query : item->queries) {
      const std::string kind = query.labels.at("kind");
      kinds.insert(kind);
      depths.insert(query.labels.at("depth"));
      EXPECT_EQ(query.labels.at("length"), i < 3 ? "2000" : "4000");
      ASSERT_EQ(query.gold.size(), 1U);
      EXPECT_EQ(Count(item->document, query.gold[0]), kind == "number" ? 2 : 1);
      const double depth = std::stod(query.labels.at("depth"));
      // Within two sentences and the other needles.
      EXPECT_NEAR(static_cast<double>(item->document.find(query.gold[0])), depth * length, 400);
      EXPECT_EQ(Count(query.question + query.prefix, query.gold[0]), 0);
    }
    EXPECT_EQ(kinds, (std::set<std::string>{"number", "words", "paraphrase"}));
    EXPECT_EQ(depths, (std::set<std::string>{"0.1", "0.5", "0.9"}));
  }
}

TEST_F(NeedleTest, SeedDecides) {
  const auto one = Make(1), same = Make(1), other = Make(2);
  std::set<std::string> documents;
  for (std::int64_t i = 0; i < one->size(); ++i) {
    EXPECT_EQ(one->Make(i)->document, same->Make(i)->document);
    documents.insert(one->Make(i)->document);
    documents.insert(other->Make(i)->document);
  }
  EXPECT_EQ(documents.size(), 12U);
}

TEST_F(NeedleTest, OnlyTheKindsAskedForAreHidden) {
  NeedleOptions options;
  options.data = data();
  options.kinds = {"words"};
  const auto task = MakeNeedleTask(model_, options);
  ASSERT_TRUE(task);
  const auto item = (*task)->Make(0);
  ASSERT_TRUE(item);
  ASSERT_EQ(item->queries.size(), 1U);
  EXPECT_EQ(item->queries[0].labels.at("kind"), "words");
  EXPECT_EQ(Count(item->document, "secret pass key"), 0);
  options.kinds = {"sword"};
  EXPECT_EQ(MakeNeedleTask(model_, options).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(NeedleTest, NothingToEvaluateIsAnError) {
  NeedleOptions options;
  options.data = data();
  options.lengths.clear();
  EXPECT_EQ(MakeNeedleTask(model_, options).error().code, ErrorCode::kInvalidArgument);
  options = {};
  options.data = "no/such/folder";
  EXPECT_EQ(MakeNeedleTask(model_, options).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ondine::eval
