// Choosing entries, against naive implementations.
#include "memory/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ondine::memory {
namespace {

using ::testing::ElementsAre;
using Scores = std::vector<float>;

// Few different values, so that ties are common.
Scores RandomScores(std::size_t n) {
  return *rc::gen::container<Scores>(
      n, rc::gen::map(rc::gen::inRange(-4, 5), [](int x) { return static_cast<float>(x) / 2; }));
}

std::vector<char> NaiveChoose(const std::vector<std::pair<Scores, std::int64_t>>& rankings,
                              std::vector<char> kept) {
  for (const auto& [scores, count] : rankings) {
    std::vector<std::size_t> order(kept.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&, &s = scores](std::size_t a, std::size_t b) { return s[a] > s[b]; });
    std::int64_t left = count;
    for (const std::size_t i : order) {
      if (left > 0 && !kept[i]) {
        kept[i] = 1;
        --left;
      }
    }
  }
  return kept;
}

TEST(Choose, TakesTheBestOfEachRankingInTurn) {
  const Scores first = {0, 9, 8, 7, 1};
  const Scores second = {5, 99, 1, 6, 7};
  std::vector<char> kept(5, 0);
  ASSERT_TRUE(Choose(std::vector<Ranking>{{first, 2}, {second, 1}}, kept));
  EXPECT_THAT(Marked(kept), ElementsAre(1, 2, 4));
}

TEST(Choose, TiesGoToTheEarlierEntry) {
  const Scores scores = {1, 2, 2, 2, 1};
  std::vector<char> kept(5, 0);
  ASSERT_TRUE(Choose(std::vector<Ranking>{{scores, 2}}, kept));
  EXPECT_THAT(Marked(kept), ElementsAre(1, 2));
}

TEST(Choose, CountsProtectedEntriesNotAsChosen) {
  const Scores scores = {9, 8, 1, 2};
  std::vector<char> kept = {1, 0, 0, 0};
  ASSERT_TRUE(Choose(std::vector<Ranking>{{scores, 2}}, kept));
  EXPECT_THAT(Marked(kept), ElementsAre(0, 1, 3));
}

TEST(Choose, TakesAllWhereThereAreFewerThanAskedFor) {
  const Scores scores = {3, 2, 1};
  std::vector<char> kept = {0, 1, 0};
  ASSERT_TRUE(Choose(std::vector<Ranking>{{scores, 10}, {scores, 10}}, kept));
  EXPECT_THAT(Marked(kept), ElementsAre(0, 1, 2));
  kept.clear();
  EXPECT_TRUE(Choose(std::vector<Ranking>{{Scores(), 3}}, kept));
}

TEST(Choose, ANanIsAnErrorEvenAtAProtectedEntry) {
  for (std::size_t place = 0; place < 3; ++place) {
    Scores scores = {1, 2, 3};
    scores[place] = std::numeric_limits<float>::quiet_NaN();
    std::vector<char> kept = {1, 0, 0};
    const Status status = Choose(std::vector<Ranking>{{scores, 1}}, kept);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
  }
}

RC_GTEST_PROP(Choose, EqualsAStableSort, ()) {
  const auto n = static_cast<std::size_t>(*rc::gen::inRange(0, 60));
  const Scores first = RandomScores(n), second = RandomScores(n);
  const std::int64_t a = *rc::gen::inRange(0, 70), b = *rc::gen::inRange(0, 70);
  std::vector<char> kept =
      *rc::gen::container<std::vector<char>>(n, rc::gen::element<char>(0, 0, 0, 1));
  const std::vector<char> expected = NaiveChoose({{first, a}, {second, b}}, kept);
  RC_ASSERT(Choose(std::vector<Ranking>{{first, a}, {second, b}}, kept).has_value());
  RC_ASSERT(kept == expected);
}

RC_GTEST_PROP(MeanOverNeighbours, EqualsTheSumOfEachWindow, ()) {
  const auto n = static_cast<std::size_t>(*rc::gen::inRange(0, 80));
  const int span = *rc::gen::inRange(1, 40);
  Scores values = RandomScores(n);
  const Scores before = values;
  Scores buffer;
  MeanOverNeighbours(values, span, buffer);
  const auto left = (span - 1) / 2, right = span - 1 - left;
  for (int i = 0; i < static_cast<int>(n); ++i) {
    double sum = 0;
    int count = 0;
    for (int j = std::max(0, i - left); j <= std::min(static_cast<int>(n) - 1, i + right); ++j) {
      sum += static_cast<double>(before[static_cast<std::size_t>(j)]);
      ++count;
    }
    RC_ASSERT(std::abs(values[static_cast<std::size_t>(i)] - static_cast<float>(sum / count)) <
              1e-6f);
  }
}

TEST(MeanOverNeighbours, SpanOneChangesNothing) {
  Scores values = {0.1f, 1e-30f, -7, 1e30f}, buffer;
  const Scores before = values;
  MeanOverNeighbours(values, 1, buffer);
  EXPECT_EQ(values, before);
}

TEST(MeanOverNeighbours, EqualValuesStayEqualWhereverTheyStand) {
  // A running sum in floats would drift apart here and turn ties into an order.
  Scores values(5000, 0.1f), buffer;
  MeanOverNeighbours(values, 17, buffer);
  for (float value : values) EXPECT_EQ(value, 0.1f);
}

}  // namespace
}  // namespace ondine::memory
