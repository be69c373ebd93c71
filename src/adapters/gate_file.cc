#include "adapters/gate_file.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/guarded.h"
#include "base/try.h"

namespace ondine {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

// Of any number there; counts up to it are exact.
constexpr double kLargest = 1e15;

tl::unexpected<Error> Broken(const std::string& path, const std::string& key) {
  return MakeError(ErrorCode::kCorrupt, "is no file of a gate: " + key, path);
}

Json ToJson(const std::optional<double>& number) {
  return number ? Json(*number) : Json(nullptr);
}

// Reads the keys of one object; the first one that is wrong is remembered.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  double Number(const char* key, double least = -kLargest, double most = kLargest) {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_number()) {
      const auto number = found->get<double>();
      if (number >= least && number <= most) return number;
    }
    NoteWrong(key);
    return least;
  }
  std::optional<double> NumberOrNull(const char* key) {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_null()) return std::nullopt;
    return Number(key);
  }
  std::string Text(const char* key) {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_string()) return found->get<std::string>();
    NoteWrong(key);
    return "";
  }
  const std::string& wrong() const { return wrong_; }

 private:
  void NoteWrong(const char* key) {
    if (wrong_.empty()) wrong_ = key;
  }

  const Json& json_;
  std::string wrong_;
};

}  // namespace

namespace adapters {

Result<Gate> ParseGate(std::string_view text, const std::string& path) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Broken(path, "it holds no JSON object");
  Fields fields(json);
  if (fields.Number("ondine_gate") != kVersion) return Broken(path, "ondine_gate is not 1");
  Gate gate;
  const auto signal = ParseGateSignal(fields.Text("signal"));
  if (!signal) return Broken(path, "signal: " + signal.error().message);
  gate.signal = *signal;
  gate.thresholds = {fields.NumberOrNull("task"), fields.NumberOrNull("confidence")};
  gate.probe_tokens = static_cast<int>(fields.Number("probe_tokens", 1, 4096));
  if (!fields.wrong().empty()) return Broken(path, fields.wrong());
  if (const auto found = json.find("fit"); found != json.end()) {
    Fields fit(*found);
    gate.fit = GateFit{static_cast<std::int64_t>(fit.Number("questions", 0)),
                       fit.Number("budget", 0, 1),
                       {fit.Number("share", 0, 1), fit.Number("accuracy", 0, 1)},
                       fit.Number("device", 0, 1),
                       fit.Number("server", 0, 1),
                       fit.Text("model")};
    if (!fit.wrong().empty()) return Broken(path, "fit." + fit.wrong());
  }
  return gate;
}

std::string FormatGate(const Gate& gate) {
  Json json = {{"ondine_gate", kVersion},
               {"signal", GateSignalName(gate.signal)},
               {"task", ToJson(gate.thresholds.task)},
               {"confidence", ToJson(gate.thresholds.confidence)},
               {"probe_tokens", gate.probe_tokens}};
  if (gate.fit) {
    json["fit"] = {{"questions", gate.fit->questions}, {"budget", gate.fit->budget},
                   {"share", gate.fit->outcome.share}, {"accuracy", gate.fit->outcome.accuracy},
                   {"device", gate.fit->device},       {"server", gate.fit->server},
                   {"model", gate.fit->model}};
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace adapters

Result<Gate> LoadGate(const std::string& path) {
  const auto load = [&]() -> Result<Gate> {
    ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
    return adapters::ParseGate(text, path);
  };
  return base::Guarded(load, "there is not enough memory for the gate", path);
}

Status SaveGate(const Gate& gate, const std::string& path) {
  const auto save = [&]() -> Status {
    const std::string text = adapters::FormatGate(gate);
    return base::WriteFileAtomically(
        path, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(text))); });
  };
  return base::Guarded(save, "there is not enough memory for the gate", path);
}

}  // namespace ondine
