// Measures what a gate is fitted to: how sure a model is of its answers to questions whose right
// answer is known, and whether it is right.
#ifndef ONDINE_GATE_MEASUREMENT_H_
#define ONDINE_GATE_MEASUREMENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/adapter_pool.h"
#include "ondine/gate.h"
#include "ondine/session.h"

namespace ondine {

struct GateSample {
  std::string prompt;
  std::string answer;
  double server = 1;  // whether the server answers it rightly, where that is known
};

// From a file of JSON lines, {"prompt": "...", "answer": "...", "server": 1}, the last optional.
// Errors: those of LoadExamples.
Result<std::vector<GateSample>> LoadGateSamples(const std::string& path);

struct GateMeasurement {
  std::optional<double> task;  // similarity, with a pool
  Confidence confidence;
  std::optional<double> consistency;  // 0 to 1, where it was asked for
  bool right = false;
  std::string answer;  // of the model
};

struct GateMeasurementOptions {
  std::shared_ptr<const AdapterPool> pool;  // with `task`, or none
  std::vector<float> task;                  // AdapterPool::TaskOf
  std::string system;                       // of the chat
  int probe_tokens = 32;                    // as the gate will have them
  int max_tokens = 64;                      // of an answer
  // Sampled answers that are compared with the likeliest one: the mean share of words in common.
  // Costs as many answers; 0: none.
  int consistency_samples = 0;
  std::function<void(std::int64_t done, std::int64_t total)> on_progress;
  StopToken stop_token;
};

// Answers every question by itself, as a chat begins. An answer is right where it contains the
// known one, word by word; letter case and punctuation aside.
Result<std::vector<GateMeasurement>> MeasureGate(Session& session,
                                                 const std::vector<GateSample>& samples,
                                                 const GateMeasurementOptions& options);

// What FitThresholds() wants of a signal.
std::vector<GateQuestion> QuestionsBy(GateSignal signal, const std::vector<GateSample>& samples,
                                      const std::vector<GateMeasurement>& measurements);

}  // namespace ondine

#endif  // ONDINE_GATE_MEASUREMENT_H_
