#include "ondine/gate.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "base/temp_dir.h"

namespace ondine {
namespace {

using ::testing::HasSubstr;
using Questions = std::vector<GateQuestion>;

// Few different values, so that many are equal.
rc::Gen<Questions> AnyQuestions() {
  const auto numbers = rc::gen::container<std::vector<int>>(4, rc::gen::inRange(0, 6));
  const auto question = rc::gen::map(numbers, [](const std::vector<int>& x) {
    const auto task = x[0] == 0 ? std::nullopt : std::optional(x[0] / 4.);
    return GateQuestion{task, x[1] / 4., double(x[2] % 2), double(x[3] % 2)};
  });
  return rc::gen::nonEmpty(rc::gen::container<Questions>(question));
}

// By trying every pair of thresholds.
double BestAccuracy(const Questions& questions, double budget) {
  double best = -1;
  for (int i = -1; i <= 14; ++i) {
    for (int j = -1; j <= 14; ++j) {
      const auto threshold = [](int k) {
        return k < 0 ? std::optional<double>() : std::optional<double>(k / 8.0 + 1e-3);
      };
      const GateOutcome outcome = OutcomeOf(questions, {threshold(i), threshold(j)});
      if (outcome.share <= budget + 1e-9) best = std::max(best, outcome.accuracy);
    }
  }
  return best;
}

RC_GTEST_PROP(GateProperty, ThresholdsAreTheBestOnesWithinTheBudget, ()) {
  const Questions questions = *AnyQuestions();
  const double budget = *rc::gen::map(rc::gen::inRange(0, 11), [](int x) { return x / 10.0; });
  const auto fitted = FitThresholds(questions, budget);
  RC_ASSERT(fitted.has_value());
  const GateOutcome outcome = OutcomeOf(questions, *fitted);
  RC_ASSERT(outcome.share <= budget + 1e-9);
  RC_ASSERT(std::abs(outcome.accuracy - BestAccuracy(questions, budget)) < 1e-9);
}

RC_GTEST_PROP(GateProperty, RaisingAThresholdNeverLowersTheShare, ()) {
  const Questions questions = *AnyQuestions();
  double last = 0;
  for (int i = 0; i < 10; ++i) {
    for (const GateThresholds& thresholds :
         {GateThresholds{i / 6.0, 0.5}, GateThresholds{0.5, i / 6.0}}) {
      GateThresholds higher = thresholds;
      *higher.task += 0.2;
      RC_ASSERT(OutcomeOf(questions, higher).share >= OutcomeOf(questions, thresholds).share);
    }
    const double share = OutcomeOf(questions, {{}, i / 6.0}).share;
    RC_ASSERT(share >= last);
    last = share;
  }
}

RC_GTEST_PROP(GateProperty, NoOrderIsBetterThanTheOracles, ()) {
  const Questions questions = *AnyQuestions();
  std::vector<double> scores;
  for (const GateQuestion& question : questions) scores.push_back(question.confidence);
  const auto curve = GateCurve(questions, scores), oracle = OracleCurve(questions);
  for (const auto& one : {curve, oracle}) {
    const double device = OutcomeOf(questions, {}).accuracy;
    const double server = OutcomeOf(questions, {{}, 1e9}).accuracy;
    RC_ASSERT(one.front().share == 0 && std::abs(one.front().accuracy - device) < 1e-9);
    RC_ASSERT(one.back().share == 1 && std::abs(one.back().accuracy - server) < 1e-9);
  }
  RC_ASSERT(AreaUnder(curve) <= AreaUnder(oracle) + 1e-9);
}

TEST(Gate, CurveAndAreaByHand) {
  // Two that the server alone gets right, one that the device alone does.
  const Questions questions = {{{}, .1, 0, 1}, {{}, .2, 1, 0}, {{}, .3, 0, 1}};
  const auto curve = GateCurve(questions, {.1, .2, .3});
  ASSERT_EQ(curve.size(), 4u);
  EXPECT_DOUBLE_EQ(curve[1].accuracy, 2. / 3);
  EXPECT_DOUBLE_EQ(curve[2].accuracy, 1. / 3);
  EXPECT_DOUBLE_EQ(AreaUnder(curve), (1.5 + 1.5 + 1.5) / 9);
  EXPECT_DOUBLE_EQ(AreaUnder(OracleCurve(questions)), (1.5 + 2.5 + 2.5) / 9);
  // Equal ones go together.
  EXPECT_EQ(GateCurve(questions, {1, 1, 1}).size(), 2u);
}

TEST(Gate, WithoutABudgetNothingIsSent) {
  const auto fitted = FitThresholds({{.5, .5, 0, 1}}, 0);
  ASSERT_TRUE(fitted);
  EXPECT_FALSE(fitted->task);
  EXPECT_FALSE(fitted->confidence);
}

TEST(Gate, NothingIsSentThatTheServerDoesNotAnswerBetter) {
  const auto fitted = FitThresholds({{{}, .1, 1, 0}, {{}, .9, 1, 1}}, 1);
  ASSERT_TRUE(fitted);
  EXPECT_EQ(OutcomeOf({{{}, .1, 1, 0}, {{}, .9, 1, 1}}, *fitted).share, 0);
}

TEST(Gate, WhatCannotBeFittedIsRefused) {
  const Questions one = {{{}, .5, 0, 1}};
  EXPECT_FALSE(FitThresholds({}, .5));
  EXPECT_FALSE(FitThresholds(one, -.1));
  EXPECT_FALSE(FitThresholds(one, 1.1));
  EXPECT_FALSE(FitThresholds(one, std::nan("")));
  EXPECT_FALSE(FitThresholds({{{}, std::numeric_limits<double>::infinity(), 0, 1}}, .5));
}

TEST(Gate, MoreIsSurerInEverySignal) {
  const Confidence sure{.9, .8, .1, 32}, unsure{.2, .1, 3, 32};
  for (const GateSignal signal : GateSignals()) {
    EXPECT_GT(SignalOf(signal, sure), SignalOf(signal, unsure));
    EXPECT_EQ(*ParseGateSignal(GateSignalName(signal)), signal);
  }
  EXPECT_FALSE(ParseGateSignal("luck"));
}

TEST(GateFile, GivesBackWhatWasSaved) {
  const testing::TempDir folder;
  Gate gate;
  gate.signal = GateSignal::kEntropy;
  gate.thresholds = {-.25, {}};
  gate.probe_tokens = 7;
  gate.fit = GateFit{100, .2, {.19, .7}, .5, 1, "tiny"};
  ASSERT_TRUE(SaveGate(gate, folder.File("gate.json")));
  const auto loaded = LoadGate(folder.File("gate.json"));
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(loaded->signal, gate.signal);
  EXPECT_EQ(loaded->thresholds.task, gate.thresholds.task);
  EXPECT_EQ(loaded->thresholds.confidence, gate.thresholds.confidence);
  EXPECT_EQ(loaded->probe_tokens, 7);
  ASSERT_TRUE(loaded->fit);
  EXPECT_EQ(loaded->fit->questions, 100);
  EXPECT_EQ(loaded->fit->outcome.share, .19);
  EXPECT_EQ(loaded->fit->model, "tiny");
}

TEST(GateFile, WhatIsNoneIsRefusedNamingTheKey) {
  const testing::TempDir folder;
  const auto expect_refused = [&](const std::string& text, const std::string& key) {
    std::ofstream(folder.File("gate.json")) << text;
    const auto gate = LoadGate(folder.File("gate.json"));
    ASSERT_FALSE(gate) << text;
    EXPECT_THAT(gate.error().message, HasSubstr(key));
  };
  const std::string head = R"({"ondine_gate":1,"signal":"margin","task":null,)";
  expect_refused("", "JSON");
  expect_refused("[1]", "JSON");
  expect_refused("{}", "ondine_gate");
  expect_refused(R"({"ondine_gate":2})", "ondine_gate");
  expect_refused(R"({"ondine_gate":1,"signal":"luck"})", "luck");
  expect_refused(head + R"("probe_tokens":32})", "confidence");
  expect_refused(head + R"("confidence":"high","probe_tokens":32})", "confidence");
  expect_refused(head + R"("confidence":1e999,"probe_tokens":32})", "");
  expect_refused(head + R"("confidence":0.5,"probe_tokens":0})", "probe_tokens");
  expect_refused(head + R"("confidence":0.5,"probe_tokens":32,"fit":{}})", "fit.");
}

}  // namespace
}  // namespace ondine
