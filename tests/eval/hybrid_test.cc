#include "eval/hybrid.h"

#include <gmock/gmock.h>

#include <cmath>

namespace ondine::eval {
namespace {

// Two choices, of which the first is right; `sure` is the first one's lead in nats.
McqaAnswer Answer(const std::string& prompt, double lead) {
  McqaAnswer answer;
  answer.item.task = "made";
  answer.item.prompt = prompt;
  answer.item.choices.resize(2);
  answer.scores = {{2 * (lead - 5), 2}, {-5 * 3, 3}};
  answer.chosen = lead >= 0 ? 0 : 1;
  return answer;
}

// The device is right where it is sure; the server is right in every second one.
HybridPart Part(int questions) {
  HybridPart part;
  for (int i = 0; i < questions; ++i) {
    const std::string prompt = "question " + std::to_string(i);
    const bool right = i % 3 != 0;
    part.device.answers.push_back(Answer(prompt, right ? 3 + 0.01 * i : -0.5 - 0.001 * i));
    part.server.answers.push_back(Answer(prompt, i % 2 == 0 ? 1 : -1));
  }
  return part;
}

const HybridSignal& Named(const HybridReport& report, const std::string& name) {
  for (const HybridSignal& signal : report.signals) {
    if (signal.name == name) return signal;
  }
  ADD_FAILURE() << name;
  return report.signals.front();
}

TEST(Hybrid, ASureDeviceIsLeftAloneAndTheOthersAreSent) {
  const auto report = CompareHybrid(Part(60), Part(60), {0, 1. / 3, 1});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_DOUBLE_EQ(report->device, 2. / 3);
  EXPECT_DOUBLE_EQ(report->server, 0.5);
  // Of the third that the device gets wrong, the server gets half right.
  EXPECT_EQ(report->budgets[0].realised.share, 0);
  EXPECT_DOUBLE_EQ(report->budgets[0].realised.accuracy, 2. / 3);
  const double share = report->budgets[1].realised.share;
  EXPECT_GT(share, 0.3);
  EXPECT_LE(share, 1. / 3);
  EXPECT_DOUBLE_EQ(report->budgets[1].realised.accuracy, 5. / 6);
  EXPECT_DOUBLE_EQ(report->budgets[1].random, 2. / 3 - share / 6);
  EXPECT_DOUBLE_EQ(report->budgets[2].realised.accuracy, 5. / 6);
  EXPECT_DOUBLE_EQ(Named(*report, "random").area, (2. / 3 + 0.5) / 2);
  EXPECT_GT(Named(*report, "margin").area, Named(*report, "random").area);
  EXPECT_GE(Named(*report, "oracle").area, Named(*report, "margin").area);
}

TEST(Hybrid, MeasuresAreThoseOfTheSoftmaxOverMeanLikelihoods) {
  HybridPart part;
  part.device.answers = {Answer("a", 1), Answer("b", 2)};
  part.server = part.device;
  const auto report = CompareHybrid(part, part, {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->signals.size(), 6u);  // four measures, random, oracle; no task without a pool
  EXPECT_EQ(Named(*report, "probability").curve.size(), 3u);
  for (McqaAnswer& answer : part.device.answers) answer.task = 0.5;
  EXPECT_EQ(CompareHybrid(part, part, {})->signals.size(), 7u);
}

TEST(Hybrid, AnswersToDifferentQuestionsAreRefused) {
  HybridPart part = Part(4);
  part.server.answers[1].item.prompt = "another";
  EXPECT_FALSE(CompareHybrid(part, Part(4), {0.5}));
  part.server.answers.pop_back();
  EXPECT_FALSE(CompareHybrid(Part(4), part, {0.5}));
  EXPECT_FALSE(CompareHybrid({}, {}, {0.5}));
}

}  // namespace
}  // namespace ondine::eval
