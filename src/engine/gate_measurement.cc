#include "ondine/gate_measurement.h"

#include <algorithm>
#include <set>

#include "base/guarded.h"
#include "base/try.h"
#include "text/words.h"

namespace ondine {
namespace {

// Of sampled answers: varied, but not random.
constexpr float kSampleTemperature = 0.8F;

std::vector<std::string> WholeWords(std::string_view text) {
  return text::Words(text, std::string_view::npos);
}

bool Contains(std::string_view text, std::string_view answer) {
  const auto words = WholeWords(text), wanted = WholeWords(answer);
  return !wanted.empty() &&
         std::search(words.begin(), words.end(), wanted.begin(), wanted.end()) != words.end();
}

// Jaccard's index of their words.
double Likeness(std::string_view one, std::string_view other) {
  const auto a = WholeWords(one), b = WholeWords(other);
  std::set<std::string> both(a.begin(), a.end()), all = both;
  all.insert(b.begin(), b.end());
  if (all.empty()) return 1;
  std::size_t common = 0;
  for (const std::string& word : std::set<std::string>(b.begin(), b.end())) {
    common += both.contains(word) ? 1 : 0;
  }
  return static_cast<double>(common) / static_cast<double>(all.size());
}

class Measurer {
 public:
  Measurer(Session& session, const GateMeasurementOptions& options)
      : session_(session), options_(options) {}

  Result<GateMeasurement> Measure(const GateSample& sample) {
    GateMeasurement result;
    if (options_.pool) {
      ONDINE_ASSIGN(result.task, options_.pool->Likeness(options_.task, sample.prompt));
    }
    GenerationOptions generation;
    generation.max_tokens = options_.max_tokens;
    generation.probe_tokens = options_.probe_tokens;
    generation.stop_token = options_.stop_token;
    generation.on_probe = [&](const Confidence& confidence) {
      result.confidence = confidence;
      return std::optional<std::string>();
    };
    ONDINE_ASSIGN(result.answer, Answer(sample, generation));
    result.right = Contains(result.answer, sample.answer);
    if (options_.consistency_samples > 0) {
      ONDINE_ASSIGN(result.consistency, Consistency(sample, result.answer));
    }
    return result;
  }

 private:
  Result<std::string> Answer(const GateSample& sample, const GenerationOptions& generation) {
    session_.Forget();
    ONDINE_ASSIGN(Generation result, session_.Say(sample.prompt, generation, options_.system));
    if (result.finish == FinishReason::kCancelled) {
      return MakeError(ErrorCode::kCancelled, "stopped");
    }
    return std::move(result.text);
  }

  Result<double> Consistency(const GateSample& sample, const std::string& likeliest) {
    double sum = 0;
    for (int i = 0; i < options_.consistency_samples; ++i) {
      GenerationOptions generation;
      generation.max_tokens = options_.max_tokens;
      generation.stop_token = options_.stop_token;
      generation.sampling.temperature = kSampleTemperature;
      generation.sampling.seed = static_cast<std::uint64_t>(i);
      ONDINE_ASSIGN(const std::string other, Answer(sample, generation));
      sum += Likeness(likeliest, other);
    }
    return sum / options_.consistency_samples;
  }

  Session& session_;
  const GateMeasurementOptions& options_;
};

}  // namespace

Result<std::vector<GateMeasurement>> MeasureGate(Session& session,
                                                 const std::vector<GateSample>& samples,
                                                 const GateMeasurementOptions& options) {
  return base::Guarded([&]() -> Result<std::vector<GateMeasurement>> {
    Measurer measurer(session, options);
    std::vector<GateMeasurement> measurements;
    for (const GateSample& sample : samples) {
      ONDINE_ASSIGN(GateMeasurement measurement, measurer.Measure(sample));
      measurements.push_back(std::move(measurement));
      if (options.on_progress) {
        options.on_progress(static_cast<std::int64_t>(measurements.size()),
                            static_cast<std::int64_t>(samples.size()));
      }
    }
    return measurements;
  });
}

std::vector<GateQuestion> QuestionsBy(GateSignal signal, const std::vector<GateSample>& samples,
                                      const std::vector<GateMeasurement>& measurements) {
  std::vector<GateQuestion> questions;
  for (std::size_t i = 0; i < std::min(samples.size(), measurements.size()); ++i) {
    questions.push_back({measurements[i].task, SignalOf(signal, measurements[i].confidence),
                         measurements[i].right ? 1.0 : 0.0, samples[i].server});
  }
  return questions;
}

}  // namespace ondine
