#include "eval/runner.h"

#include <gmock/gmock.h>

#include "base/try.h"
#include "eval/fixture.h"

namespace ondine::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

void ExpectCell(const Cell& cell, std::int64_t n, double score, double low, double high) {
  EXPECT_EQ(cell.n, n);
  EXPECT_NEAR(cell.score, score, 1e-9);
  EXPECT_NEAR(cell.ci95[0], low, 5e-5);
  EXPECT_NEAR(cell.ci95[1], high, 5e-5);
}

// `right` ones, then zeros.
std::vector<double> Binary(int right, int n) {
  std::vector<double> scores(n, 0.0);
  std::fill(scores.begin(), scores.begin() + right, 1.0);
  return scores;
}

// Published values of Wilson's interval without continuity correction.
TEST(Summarize, IsWilsonsIntervalForRightAndWrong) {
  ExpectCell(Summarize(Binary(5, 10)), 10, 0.5, 0.2366, 0.7634);
  ExpectCell(Summarize(Binary(9, 10)), 10, 0.9, 0.5958, 0.9821);
  ExpectCell(Summarize(Binary(81, 263)), 263, 81.0 / 263, 0.2553, 0.3662);
  ExpectCell(Summarize(Binary(0, 20)), 20, 0, 0, 0.1611);
  ExpectCell(Summarize(Binary(20, 20)), 20, 1, 0.8389, 1);
  for (int n = 1; n < 50; ++n) {
    EXPECT_EQ(Summarize(Binary(0, n)).ci95[0], 0.0);
    EXPECT_EQ(Summarize(Binary(n, n)).ci95[1], 1.0);
  }
}

TEST(Summarize, IsTheNormalApproximationForShares) {
  // Standard error: sqrt(0.125 / 4).
  ExpectCell(Summarize({0.5, 1, 0.25, 0.25}), 4, 0.5, 0.1535, 0.8465);
  ExpectCell(Summarize({0.5, 0.5, 0.5}), 3, 0.5, 0.5, 0.5);
  ExpectCell(Summarize({0.75}), 1, 0.75, 0, 1);
}

TEST(Summarize, OfNothingIsNothing) {
  ExpectCell(Summarize({}), 0, 0, 0, 0);
}

double Found(std::vector<std::string> gold, const std::string& answer) {
  Query query;
  query.gold = std::move(gold);
  return ShareFound(query, answer);
}

TEST(ShareFound, CountsGoldTextsLetterCaseAside) {
  EXPECT_EQ(Found({"42"}, "It is 42."), 1);
  EXPECT_EQ(Found({"42"}, "It is 43."), 0);
  EXPECT_EQ(Found({"Copper Lantern"}, "a COPPER lantern"), 1);
  EXPECT_EQ(Found({"one", "two", "three", "four"}, "Three, then one."), 0.5);
  EXPECT_EQ(Found({"one"}, ""), 0);
  EXPECT_EQ(Found({}, "anything"), 0);
}

// Two documents, two questions each; what is right is known beforehand.
class Known : public Task {
 public:
  std::string name() const override { return "known"; }
  std::int64_t size() const override { return 2; }
  Result<Item> Make(std::int64_t index) const override {
    Item item;
    item.document = "Document " + std::to_string(index) + " has only a few words.";
    for (const char* kind : {"easy", "hard"}) {
      Query query;
      query.question = std::string("An ") + kind + " question?";
      query.prefix = "I say";
      query.max_tokens = 3;
      query.labels["kind"] = kind;
      query.labels["document"] = std::to_string(index);
      item.queries.push_back(query);
    }
    return item;
  }
  double Score(const Query& query, const std::string&) const override {
    return query.labels.at("kind") == "easy" || query.labels.at("document") == "1" ? 1 : 0;
  }
};

class RunTaskTest : public EvalTest {
 protected:
  static RunOptions Options() {
    RunOptions options;
    options.session.threads = 1;
    options.session.pot = PotSettings();
    options.session.pot->slots = 512;
    return options;
  }
};

TEST_F(RunTaskTest, ScoresAreBrokenDownByEveryLabel) {
  const Known task;
  RunOptions options = Options();
  std::vector<double> scores;
  options.on_progress = [&](std::int64_t done, std::int64_t total, double score) {
    EXPECT_EQ(done, static_cast<std::int64_t>(scores.size()) + 1);
    EXPECT_EQ(total, 2);
    scores.push_back(score);
  };
  const auto report = RunTask(model_, task, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->task, "known");
  EXPECT_EQ(report->documents, 2);
  EXPECT_EQ(report->total.n, 4);
  EXPECT_EQ(report->total.score, 0.75);
  EXPECT_EQ(report->cells.at("kind").at("easy").score, 1);
  EXPECT_EQ(report->cells.at("kind").at("hard").score, 0.5);
  EXPECT_EQ(report->cells.at("document").at("0").n, 2);
  EXPECT_EQ(report->cells.at("document").at("0").score, 0.5);
  EXPECT_THAT(scores, ElementsAre(0.5, 0.75));
  EXPECT_THAT(report->answers, SizeIs(4));
}

TEST_F(RunTaskTest, LimitCountsDocuments) {
  RunOptions options = Options();
  options.limit = 1;
  const auto report = RunTask(model_, Known(), options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->documents, 1);
  EXPECT_EQ(report->total.n, 2);
}

TEST_F(RunTaskTest, QuestionAwareReadingReadsForEveryQuestion) {
  RunOptions options = Options();
  const auto agnostic = RunTask(model_, Known(), options);
  options.reading = Reading::kQuestion;
  const auto aware = RunTask(model_, Known(), options);
  ASSERT_TRUE(agnostic && aware);
  EXPECT_GT(agnostic->tokens_read, 0);
  EXPECT_EQ(aware->tokens_read, 2 * agnostic->tokens_read);
}

// One document, much longer than the pot.
class Long : public Known {
 public:
  std::int64_t size() const override { return 1; }
  Result<Item> Make(std::int64_t index) const override {
    ONDINE_ASSIGN(Item item, Known::Make(index));
    item.document = Sentences(0, 40) + "The easy obelisk is green. " + Sentences(40, 40);
    return item;
  }
};

TEST_F(RunTaskTest, OneReadingIsAskedWithEveryAmountOfRereading) {
  RunOptions options = Options();
  const auto usual = RunTask(model_, Long(), options);
  options.reread = {0, 200};
  const auto both = RunTask(model_, Long(), options);
  ASSERT_TRUE(usual && both);
  EXPECT_EQ(both->tokens_read, usual->tokens_read);
  ASSERT_THAT(both->answers, SizeIs(4));
  EXPECT_NE(both->answers[0].text, both->answers[1].text);  // the same question
  EXPECT_EQ(both->total.n, 2);                              // each question once
  EXPECT_EQ(both->cells.at("kind").at("easy").n, 1);
  EXPECT_EQ(both->cells.at("reread/kind").at("0/easy").n, 1);
  EXPECT_EQ(both->cells.at("reread/kind").at("200/easy").n, 1);
  EXPECT_EQ(usual->cells.count("reread/kind"), 0);
}

TEST_F(RunTaskTest, StopsWhenAsked) {
  const RunOptions options = Options();
  options.stop_token.Stop();
  const auto report = RunTask(model_, Known(), options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace ondine::eval
