// Which questions a model on the device should leave to a larger one: those that are not of the
// user's task, and those that it is unsure of. Thresholds are fitted to the user's own questions
// and budget, since a threshold fitted to other people's questions sends another share of them.
#ifndef ONDINE_GATE_H_
#define ONDINE_GATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/generation.h"
#include "ondine/result.h"

namespace ondine {

// What is taken for confidence in an answer; in each, more is surer.
enum class GateSignal {
  kProbability,  // Confidence::probability
  kMargin,       // Confidence::margin
  kEntropy,      // -Confidence::entropy
};
Result<GateSignal> ParseGateSignal(std::string_view name);  // "probability", "margin", "entropy"
const char* GateSignalName(GateSignal signal);
std::vector<GateSignal> GateSignals();
double SignalOf(GateSignal signal, const Confidence& confidence);

// A question whose measure lies below a threshold goes to the server. Where there is no threshold,
// there is no such test.
struct GateThresholds {
  std::optional<double> task;        // similarity to the user's examples, -1 to 1
  std::optional<double> confidence;  // of the answer, by the gate's signal
};

// What came of thresholds on a set of questions.
struct GateOutcome {
  double share = 0;     // of questions that go to the server
  double accuracy = 0;  // of device and server together
};

// Where a gate was fitted.
struct GateFit {
  std::int64_t questions = 0;
  double budget = 0;
  GateOutcome outcome;
  double device = 0, server = 0;  // accuracy of each alone
  std::string model;              // on the device
};

struct Gate {
  GateSignal signal = GateSignal::kProbability;
  GateThresholds thresholds = {.task = {}, .confidence = 0.5};
  int probe_tokens = 32;       // of the answer, by which confidence is judged
  std::optional<GateFit> fit;  // absent: thresholds are guesses
};

// A JSON file. Errors: kNotFound, kIo, kCorrupt (names the key), kOutOfMemory.
Result<Gate> LoadGate(const std::string& path);
Status SaveGate(const Gate& gate, const std::string& path);

// A question whose answers are known to be right or wrong.
struct GateQuestion {
  std::optional<double> task;  // similarity, where it is known
  double confidence = 0;
  double device = 0;  // 1: its answer is right, 0: it is wrong
  double server = 1;
};

GateOutcome OutcomeOf(const std::vector<GateQuestion>& questions, const GateThresholds& thresholds);

// The thresholds with the highest accuracy among those that send at most `budget` (0 to 1) of the
// questions; of equals those that send least. With budget 0 there are none. kInvalidArgument where
// there is no question, a number is not finite, or the budget is not from 0 to 1.
Result<GateThresholds> FitThresholds(const std::vector<GateQuestion>& questions, double budget);

// Accuracy against share where questions are sent in the order of `scores`, lowest first and equal
// ones together: from nothing to everything.
std::vector<GateOutcome> GateCurve(const std::vector<GateQuestion>& questions,
                                   const std::vector<double>& scores);
// The best that any order could do: questions that the server alone gets right go first.
std::vector<GateOutcome> OracleCurve(const std::vector<GateQuestion>& questions);
// Mean accuracy over all shares; a curve's points are joined by straight lines. Sending at random
// has the mean of both accuracies.
double AreaUnder(const std::vector<GateOutcome>& curve);

}  // namespace ondine

#endif  // ONDINE_GATE_H_
