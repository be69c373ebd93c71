#include "eval/hybrid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "base/try.h"

namespace ondine::eval {
namespace {

// How sure the choices' likelihoods are, in the sense of each name; nullopt where it is not known.
using Measure = std::optional<double> (*)(const McqaAnswer& answer);

std::vector<double> MeanLogLikelihoods(const McqaAnswer& answer) {
  std::vector<double> means;
  for (const engine::ChoiceScore& score : answer.scores) {
    means.push_back(score.log_likelihood / static_cast<double>(score.tokens));
  }
  return means;
}

// Of the choices, the likeliest first.
std::vector<double> Probabilities(const McqaAnswer& answer) {
  std::vector<double> p = MeanLogLikelihoods(answer);
  const double most = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& value : p) sum += value = std::exp(value - most);
  for (double& value : p) value /= sum;
  std::sort(p.rbegin(), p.rend());
  return p;
}

std::optional<double> MinusEntropy(const McqaAnswer& answer) {
  double sum = 0;
  for (const double p : Probabilities(answer)) sum += p > 0 ? p * std::log(p) : 0;
  return sum;
}

constexpr std::array<std::pair<const char*, Measure>, 5> kMeasures = {{
    {"probability",
     [](const McqaAnswer& a) -> std::optional<double> { return Probabilities(a)[0]; }},
    {"margin",
     [](const McqaAnswer& a) -> std::optional<double> {
       const std::vector<double> p = Probabilities(a);
       return p[0] - p[1];
     }},
    {"entropy", MinusEntropy},
    {"likelihood",
     [](const McqaAnswer& a) -> std::optional<double> {
       const std::vector<double> means = MeanLogLikelihoods(a);
       return *std::max_element(means.begin(), means.end());
     }},
    {"task", [](const McqaAnswer& a) { return a.task; }},
}};

// nullopt where the measure is not known of every question.
std::optional<std::vector<GateQuestion>> QuestionsBy(Measure measure, const HybridPart& part) {
  std::vector<GateQuestion> questions;
  for (std::size_t i = 0; i < part.device.answers.size(); ++i) {
    const McqaAnswer& device = part.device.answers[i];
    const McqaAnswer& server = part.server.answers[i];
    const std::optional<double> value = measure(device);
    if (!value) return std::nullopt;
    questions.push_back({device.task, *value, device.chosen == device.item.gold ? 1.0 : 0.0,
                         server.chosen == server.item.gold ? 1.0 : 0.0});
  }
  return questions;
}

HybridSignal SignalOf(const char* name, std::vector<GateOutcome> curve) {
  const double area = AreaUnder(curve);
  return {name, area, std::move(curve)};
}

HybridSignal SignalBy(const char* name, const std::vector<GateQuestion>& questions) {
  std::vector<double> scores;
  scores.reserve(questions.size());
  for (const GateQuestion& question : questions) scores.push_back(question.confidence);
  return SignalOf(name, GateCurve(questions, scores));
}

Status CheckSameQuestions(const HybridPart& part) {
  const auto same = [](const McqaAnswer& a, const McqaAnswer& b) {
    return a.item.prompt == b.item.prompt && a.item.task == b.item.task;
  };
  const auto& device = part.device.answers;
  const auto& server = part.server.answers;
  if (!device.empty() &&
      std::equal(device.begin(), device.end(), server.begin(), server.end(), same)) {
    return {};
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   "device and server have not answered the same questions");
}

}  // namespace

Result<HybridReport> CompareHybrid(const HybridPart& settings, const HybridPart& final_part,
                                   const std::vector<double>& budgets) {
  ONDINE_TRY(CheckSameQuestions(settings));
  ONDINE_TRY(CheckSameQuestions(final_part));
  HybridReport report;
  double best = -1;
  std::vector<GateQuestion> to_fit, to_test;  // by the signal that is chosen
  for (const auto& [name, measure] : kMeasures) {
    const auto fit = QuestionsBy(measure, settings), test = QuestionsBy(measure, final_part);
    if (!fit || !test) continue;
    report.signals.push_back(SignalBy(name, *test));
    const double area = SignalBy(name, *fit).area;
    if (area <= best) continue;
    best = area;
    report.chosen = name;
    to_fit = *fit;
    to_test = *test;
  }
  report.device = OutcomeOf(to_test, {}).accuracy;
  const auto all = GateCurve(to_test, std::vector(to_test.size(), 0.0));
  report.server = all.back().accuracy;
  report.signals.push_back(SignalOf("random", all));
  report.signals.push_back(SignalOf("oracle", OracleCurve(to_test)));
  for (const double budget : budgets) {
    ONDINE_ASSIGN(const GateThresholds thresholds, FitThresholds(to_fit, budget));
    HybridBudget one{budget, OutcomeOf(to_fit, thresholds), OutcomeOf(to_test, thresholds), 0};
    one.random = report.device + one.realised.share * (report.server - report.device);
    report.budgets.push_back(one);
  }
  return report;
}

}  // namespace ondine::eval
