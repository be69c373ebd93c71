#include "ondine/gate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/quote.h"

namespace ondine {
namespace {

constexpr std::array kSignals = {std::pair{"probability", GateSignal::kProbability},
                                 std::pair{"margin", GateSignal::kMargin},
                                 std::pair{"entropy", GateSignal::kEntropy}};

bool OffTask(const GateQuestion& question, const std::optional<double>& threshold) {
  return threshold && question.task && *question.task < *threshold;
}

template <typename Score>
std::vector<double> ScoresBy(const std::vector<GateQuestion>& questions, Score score) {
  std::vector<double> scores(questions.size());
  std::transform(questions.begin(), questions.end(), scores.begin(), score);
  return scores;
}

std::vector<std::size_t> OrderBy(const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  return order;
}

// Between each two neighbours of the values, and above the last: every way of cutting them.
std::vector<double> Cuts(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::vector<double> cuts;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    // The upper one, where rounding leaves nothing between them.
    cuts.push_back(std::max(std::nextafter(values[i], values[i + 1]),
                            values[i] + (values[i + 1] - values[i]) / 2));
  }
  if (!values.empty()) cuts.push_back(values.back() + 1);
  return cuts;
}

// The best cut of confidence, given one of task similarity.
class Search {
 public:
  Search(const std::vector<GateQuestion>& questions, double budget) : questions_(questions) {
    // A share of 0.2 of 10 questions is 2, whatever 0.2 * 10 is in floats.
    most_ = std::floor(budget * static_cast<double>(questions.size()) + 1e-9);
    order_ = OrderBy(ScoresBy(questions, [](const GateQuestion& q) { return q.confidence; }));
  }

  void Try(std::optional<double> task) {
    double sent = 0, right = 0;
    for (const GateQuestion& question : questions_) {
      const bool off = OffTask(question, task);
      sent += off ? 1 : 0;
      right += off ? question.server : question.device;
    }
    Consider(sent, right, {task, {}});
    for (std::size_t i = 0; i < order_.size() && sent <= most_; ++i) {
      const GateQuestion& question = questions_[order_[i]];
      if (!OffTask(question, task)) {
        sent += 1;
        right += question.server - question.device;
      }
      const bool last = i + 1 == order_.size();
      const double next = last ? question.confidence + 1 : questions_[order_[i + 1]].confidence;
      if (next == question.confidence) continue;
      Consider(sent, right, {task, Cuts({question.confidence, next}).front()});
    }
  }

  const GateThresholds& best() const { return best_; }

 private:
  void Consider(double sent, double right, const GateThresholds& thresholds) {
    if (sent > most_) return;
    const bool better = right > best_right_ || (right == best_right_ && sent < best_sent_);
    if (!better) return;
    best_ = thresholds;
    best_right_ = right;
    best_sent_ = sent;
  }

  const std::vector<GateQuestion>& questions_;
  std::vector<std::size_t> order_;  // the least sure first
  double most_ = 0;                 // that may be sent
  GateThresholds best_;
  double best_right_ = -1, best_sent_ = 0;
};

}  // namespace

Result<GateSignal> ParseGateSignal(std::string_view name) {
  std::string known;
  for (const auto& [text, signal] : kSignals) {
    if (text == name) return signal;
    known.append(" ").append(text);
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   base::Quote(name) + " is no signal of a gate; there are" + known);
}

const char* GateSignalName(GateSignal signal) {
  for (const auto& [text, value] : kSignals) {
    if (value == signal) return text;
  }
  return "";
}

std::vector<GateSignal> GateSignals() {
  return {GateSignal::kProbability, GateSignal::kMargin, GateSignal::kEntropy};
}

double SignalOf(GateSignal signal, const Confidence& confidence) {
  switch (signal) {
    case GateSignal::kProbability: return confidence.probability;
    case GateSignal::kMargin: return confidence.margin;
    case GateSignal::kEntropy: return -confidence.entropy;
  }
  return 0;
}

GateOutcome OutcomeOf(const std::vector<GateQuestion>& questions,
                      const GateThresholds& thresholds) {
  GateOutcome outcome;
  for (const GateQuestion& question : questions) {
    const bool unsure = thresholds.confidence && question.confidence < *thresholds.confidence;
    const bool sent = unsure || OffTask(question, thresholds.task);
    outcome.share += sent ? 1 : 0;
    outcome.accuracy += sent ? question.server : question.device;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(1, questions.size()));
  return {outcome.share / count, outcome.accuracy / count};
}

Result<GateThresholds> FitThresholds(const std::vector<GateQuestion>& questions, double budget) {
  if (!(budget >= 0 && budget <= 1)) {
    return MakeError(ErrorCode::kInvalidArgument, "a budget is a share from 0 to 1");
  }
  if (questions.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "there are no questions to fit a gate to");
  }
  std::vector<double> similarities;
  for (const GateQuestion& question : questions) {
    for (const double number :
         {question.confidence, question.device, question.server, question.task.value_or(0)}) {
      if (std::isfinite(number)) continue;
      return MakeError(ErrorCode::kInvalidArgument, "a gate is fitted to finite numbers only");
    }
    if (question.task) similarities.push_back(*question.task);
  }
  Search search(questions, budget);
  search.Try({});
  for (const double cut : Cuts(std::move(similarities))) search.Try(cut);
  return search.best();
}

std::vector<GateOutcome> GateCurve(const std::vector<GateQuestion>& questions,
                                   const std::vector<double>& scores) {
  const auto count = static_cast<double>(questions.size());
  double right = 0;
  for (const GateQuestion& question : questions) right += question.device;
  std::vector<GateOutcome> curve = {{0, count > 0 ? right / count : 0}};
  const std::vector<std::size_t> order = OrderBy(scores);
  for (std::size_t i = 0; i < order.size(); ++i) {
    right += questions[order[i]].server - questions[order[i]].device;
    const bool tied = i + 1 < order.size() && scores[order[i]] == scores[order[i + 1]];
    if (!tied) curve.push_back({static_cast<double>(i + 1) / count, right / count});
  }
  return curve;
}

std::vector<GateOutcome> OracleCurve(const std::vector<GateQuestion>& questions) {
  return GateCurve(questions,
                   ScoresBy(questions, [](const GateQuestion& q) { return q.device - q.server; }));
}

double AreaUnder(const std::vector<GateOutcome>& curve) {
  double area = 0;
  for (std::size_t i = 0; i + 1 < curve.size(); ++i) {
    area += (curve[i + 1].share - curve[i].share) * (curve[i].accuracy + curve[i + 1].accuracy) / 2;
  }
  return area;
}

}  // namespace ondine
