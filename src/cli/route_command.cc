// ondine route: fits a gate to the user's questions and budget, and explains what it decides.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/option_checks.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/report.h"
#include "ondine/gate_measurement.h"

namespace ondine::cli {
namespace {

struct Options {
  ModelChoice model;
  AdapterChoice adapter;
  PotChoice pot;
  std::string samples, output, signal, gate, prompt, system;
  double budget = 0.2;
  int max_tokens = 64, consistency = 0;
  bool json = false, progress = false;
};

// How well the questions can be put in an order by one measure.
struct Comparison {
  std::string name;
  double area = 0;
  std::optional<GateThresholds> thresholds;  // where the measure can be a gate's
  GateOutcome outcome;
};

std::vector<std::string> SignalNames() {
  const std::vector<GateSignal> signals = GateSignals();
  std::vector<std::string> names(signals.size());
  std::transform(signals.begin(), signals.end(), names.begin(), GateSignalName);
  return names;
}

class Router {
 public:
  explicit Router(const Options& options) : options_(options) {}

  Status Load() {
    ONDINE_ASSIGN(model_, options_.model.Load());
    SessionOptions session_options;
    session_options.threads = options_.model.threads;
    ONDINE_ASSIGN(custom_, options_.adapter.LoadWithTask(model_));
    session_options.adapters = custom_.adapters;
    ONDINE_ASSIGN(session_options.pot, options_.pot.Settings(*model_));
    ONDINE_ASSIGN(session_, Session::Create(model_, session_options));
    return {};
  }

  Result<std::vector<GateMeasurement>> Measure(const std::vector<GateSample>& samples,
                                               int probe_tokens) {
    ProgressLine line(options_.progress);
    GateMeasurementOptions measure;
    measure.pool = custom_.pool;
    measure.task = custom_.task;
    measure.system = options_.system;
    measure.probe_tokens = probe_tokens;
    measure.max_tokens = options_.max_tokens;
    measure.consistency_samples = options_.consistency;
    measure.stop_token = InterruptToken();
    const base::Timer watch;
    measure.on_progress = [&](std::int64_t done, std::int64_t total) {
      line.Show("question " + Grouped(done) + "/" + Grouped(total) + ", " +
                TimeLeft(watch.Elapsed(), done, total));
    };
    return MeasureGate(*session_, samples, measure);
  }

  const std::shared_ptr<const Model>& model() const { return model_; }

 private:
  const Options& options_;
  std::shared_ptr<const Model> model_;
  Customization custom_;
  std::optional<Session> session_;
};

Result<std::vector<Comparison>> Compare(const std::vector<GateSample>& samples,
                                        const std::vector<GateMeasurement>& measurements,
                                        double budget) {
  std::vector<Comparison> all;
  for (const GateSignal signal : GateSignals()) {
    const std::vector<GateQuestion> questions = QuestionsBy(signal, samples, measurements);
    std::vector<double> scores;
    scores.reserve(questions.size());
    for (const GateQuestion& question : questions) scores.push_back(question.confidence);
    Comparison one{GateSignalName(signal), AreaUnder(GateCurve(questions, scores)), {}, {}};
    ONDINE_ASSIGN(one.thresholds, FitThresholds(questions, budget));
    one.outcome = OutcomeOf(questions, *one.thresholds);
    all.push_back(std::move(one));
  }
  const std::vector<GateQuestion> questions =
      QuestionsBy(GateSignal::kProbability, samples, measurements);
  const auto add = [&](const char* name, auto&& score) {
    std::vector<double> scores;
    for (const GateMeasurement& measurement : measurements) {
      const std::optional<double> value = score(measurement);
      if (!value) return;
      scores.push_back(*value);
    }
    all.push_back({name, AreaUnder(GateCurve(questions, scores)), {}, {}});
  };
  add("task", [](const GateMeasurement& m) { return m.task; });
  add("consistency", [](const GateMeasurement& m) { return m.consistency; });
  all.push_back(
      {"random", AreaUnder(GateCurve(questions, std::vector(questions.size(), 0.0))), {}, {}});
  all.push_back({"oracle", AreaUnder(OracleCurve(questions)), {}, {}});
  return all;
}

std::string Show(const std::optional<double>& threshold) {
  return threshold ? Fixed(*threshold, 3) : "none";
}

void Print(const std::vector<Comparison>& comparisons, const Gate& gate) {
  std::printf("%-12s  %5s  %8s  %8s\n", "signal", "area", "accuracy", "sent");
  for (const Comparison& one : comparisons) {
    std::printf("%-12s  %5.3f", one.name.c_str(), one.area);
    if (one.thresholds) {
      std::printf("  %6.1f %%  %6.1f %%", 100 * one.outcome.accuracy, 100 * one.outcome.share);
    }
    std::printf("\n");
  }
  std::printf(
      "\n%lld questions: the device alone is right in %.1f %%, the server alone in %.1f %%.\n"
      "Fitted to a budget of %.0f %%: %s below %s, or similarity to the task below %s, goes to the "
      "server;\nof these questions %.1f %% do, and %.1f %% are answered rightly.\n",
      static_cast<long long>(gate.fit->questions), 100 * gate.fit->device, 100 * gate.fit->server,
      100 * gate.fit->budget, GateSignalName(gate.signal), Show(gate.thresholds.confidence).c_str(),
      Show(gate.thresholds.task).c_str(), 100 * gate.fit->outcome.share,
      100 * gate.fit->outcome.accuracy);
  std::fflush(stdout);
}

nlohmann::json ToJson(const std::vector<Comparison>& comparisons, const Gate& gate,
                      const std::vector<GateSample>& samples,
                      const std::vector<GateMeasurement>& measurements) {
  const auto number = [](const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
  };
  nlohmann::json out = {{"questions", gate.fit->questions},
                        {"budget", gate.fit->budget},
                        {"share", gate.fit->outcome.share},
                        {"accuracy", gate.fit->outcome.accuracy},
                        {"device", gate.fit->device},
                        {"server", gate.fit->server},
                        {"signal", GateSignalName(gate.signal)},
                        {"thresholds",
                         {{"task", number(gate.thresholds.task)},
                          {"confidence", number(gate.thresholds.confidence)}}}};
  for (const Comparison& one : comparisons) {
    out["signals"][one.name] = {{"area", one.area}};
    if (!one.thresholds) continue;
    out["signals"][one.name]["accuracy"] = one.outcome.accuracy;
    out["signals"][one.name]["share"] = one.outcome.share;
  }
  for (std::size_t i = 0; i < samples.size(); ++i) {
    out["items"].push_back({{"prompt", samples[i].prompt},
                            {"gold", samples[i].answer},
                            {"answer", measurements[i].answer},
                            {"right", measurements[i].right},
                            {"server", samples[i].server},
                            {"task", number(measurements[i].task)},
                            {"consistency", number(measurements[i].consistency)},
                            {"confidence", cli::ToJson(measurements[i].confidence)}});
  }
  return out;
}

// The signal that was asked for, or the one that is most often right within the budget.
Result<Gate> ChooseGate(const Options& options, const std::vector<Comparison>& comparisons) {
  Gate gate;
  const Comparison* chosen = nullptr;
  for (const Comparison& one : comparisons) {
    if (!one.thresholds || (!options.signal.empty() && one.name != options.signal)) continue;
    if (chosen == nullptr || one.outcome.accuracy > chosen->outcome.accuracy) chosen = &one;
  }
  ONDINE_ASSIGN(gate.signal, ParseGateSignal(chosen->name));  // names were checked with the options
  gate.thresholds = *chosen->thresholds;
  gate.fit.emplace().outcome = chosen->outcome;
  return gate;
}

Status Calibrate(const Options& options) {
  std::vector<std::string> inputs = options.adapter.Files();
  ONDINE_ASSIGN(inputs.emplace_back(), options.model.Path());
  inputs.push_back(options.samples);
  ONDINE_TRY(base::CheckOutput(options.output, inputs));
  ONDINE_ASSIGN(const std::vector<GateSample> samples, LoadGateSamples(options.samples));
  Router router(options);
  ONDINE_TRY(router.Load());
  const int probe_tokens = std::min(Gate().probe_tokens, options.max_tokens);
  ONDINE_ASSIGN(const auto measurements, router.Measure(samples, probe_tokens));
  ONDINE_ASSIGN(const auto comparisons, Compare(samples, measurements, options.budget));
  ONDINE_ASSIGN(Gate gate, ChooseGate(options, comparisons));
  gate.probe_tokens = probe_tokens;
  const auto questions = QuestionsBy(gate.signal, samples, measurements);
  gate.fit->questions = static_cast<std::int64_t>(samples.size());
  gate.fit->budget = options.budget;
  gate.fit->device = OutcomeOf(questions, {}).accuracy;
  gate.fit->server = GateCurve(questions, std::vector(questions.size(), 0.0)).back().accuracy;
  gate.fit->model = router.model()->info().name;
  if (!options.output.empty()) ONDINE_TRY(SaveGate(gate, options.output));
  if (options.json) {
    std::cout << Dump(ToJson(comparisons, gate, samples, measurements)) << "\n";
    return {};
  }
  Print(comparisons, gate);
  if (!options.output.empty()) std::cout << "Written to " << options.output << "\n";
  return {};
}

// What the gate decides of one question; nothing leaves.
Status Explain(const Options& options) {
  Gate gate;
  if (!options.gate.empty()) {
    ONDINE_ASSIGN(gate, LoadGate(options.gate));
  }
  Router router(options);
  ONDINE_TRY(router.Load());
  ONDINE_ASSIGN(const auto measured, router.Measure({{options.prompt, "", 1}}, gate.probe_tokens));
  const GateMeasurement& one = measured.front();
  const double confidence = SignalOf(gate.signal, one.confidence);
  const auto below = [](const std::optional<double>& value, const std::optional<double>& least) {
    return value && least && *value < *least;
  };
  const bool off_task = below(one.task, gate.thresholds.task);
  const bool unsure = below(confidence, gate.thresholds.confidence);
  if (options.json) {
    nlohmann::json out = {{"server", off_task || unsure},
                          {"reason", off_task ? "off task" : (unsure ? "unsure" : "sure")},
                          {"answer", one.answer},
                          {"confidence", cli::ToJson(one.confidence)}};
    if (one.task) out["task"] = *one.task;
    std::cout << Dump(out) << "\n";
    return {};
  }
  std::cout << "similarity to the task: " << Show(one.task) << ", threshold "
            << Show(gate.thresholds.task) << "\n"
            << "confidence (" << GateSignalName(gate.signal) << "): " << Fixed(confidence, 3)
            << ", threshold " << Show(gate.thresholds.confidence) << "\n"
            << "so the " << (off_task || unsure ? "server" : "device") << " should answer"
            << (off_task ? ": not of the task" : (unsure ? ": the model is unsure" : "")) << "\n"
            << "the device would say: ";
  ShowText(one.answer + "\n");
  return {};
}

}  // namespace

Action AddRoute(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "route", "Fit, and explain, the gate that decides which questions need a server");
  command->footer(
      "Questions to fit to are JSON lines with \"prompt\", \"answer\" and, where it is known, "
      "\"server\": 1 where the server's answer is right, else 0.\n\nExample:\n"
      "  ondine route --calibrate mine.jsonl --budget 0.2 -o gate.json\n"
      "  ondine route --gate gate.json -p \"Who wrote Faust?\"\n"
      "  ondine chat --gate gate.json --server http://127.0.0.1:8080/v1");
  options->model.AddTo(*command);
  options->adapter.AddAll(*command);
  CLI::Option* samples = command->add_option("--calibrate", options->samples,
                                             "questions with known answers (-: standard input)");
  command->add_option("--budget", options->budget, "share of the questions that may be sent")
      ->capture_default_str()
      ->needs(samples)
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("-o,--output", options->output, "write the gate to this JSON file")
      ->needs(samples);
  command
      ->add_option("--signal", options->signal,
                   "of confidence: probability, margin, entropy (default: the best of them)")
      ->needs(samples)
      ->check(CLI::IsMember(SignalNames()));
  command
      ->add_option("--self-consistency", options->consistency,
                   "also compare with the agreement of so many sampled answers")
      ->needs(samples)
      ->check(CLI::Range(0, 64));
  command->add_option("-n,--max-tokens", options->max_tokens, "of an answer")
      ->capture_default_str()
      ->check(base::Positive());
  command->add_option("--gate", options->gate, "with -p: a gate that was fitted")
      ->excludes(samples);
  command->add_option("-p,--prompt", options->prompt, "explain what is decided of this question")
      ->excludes(samples);
  command->add_option("--system", options->system, "system message, as in chat");
  options->pot.AddAll(*command, PotChoice::Default::kPot);
  command->add_flag("--progress", options->progress,
                    "show progress even where stderr is no terminal");
  command->add_flag("--json", options->json, "print as JSON");
  return [options]() -> Status {
    if (!options->samples.empty()) return Calibrate(*options);
    if (!options->prompt.empty()) return Explain(*options);
    return MakeError(ErrorCode::kInvalidArgument,
                     "name questions to fit to with --calibrate, or one to explain with -p");
  };
}

}  // namespace ondine::cli
