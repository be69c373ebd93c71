#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/try.h"
#include "ondine/gate.h"

namespace ondine {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

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

  double Number(const char* key) {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_number() && std::isfinite(found->get<double>())) {
      return found->get<double>();
    }
    wrong_ = key;
    return 0;
  }
  std::optional<double> NumberOrNull(const char* key) {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_null()) return std::nullopt;
    return Number(key);
  }
  std::string Text(const char* key) {
    const auto found = json_.find(key);
    if (found != json_.end() && found->is_string()) return found->get<std::string>();
    wrong_ = key;
    return "";
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const Json& json_;
  std::string wrong_;
};

}  // namespace

Result<Gate> LoadGate(const std::string& path) {
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Broken(path, "it holds no JSON object");
  Fields fields(json);
  if (fields.Number("ondine_gate") != kVersion) return Broken(path, "ondine_gate is not 1");
  Gate gate;
  ONDINE_ASSIGN(gate.signal, ParseGateSignal(fields.Text("signal")));
  gate.thresholds = {fields.NumberOrNull("task"), fields.NumberOrNull("confidence")};
  const double probe = fields.Number("probe_tokens");
  if (!(probe >= 1 && probe <= 4096)) return Broken(path, "probe_tokens is not from 1 to 4096");
  gate.probe_tokens = static_cast<int>(probe);
  if (!fields.wrong().empty()) return Broken(path, fields.wrong());
  if (const auto found = json.find("fit"); found != json.end()) {
    Fields fit(*found);
    gate.fit = GateFit{static_cast<std::int64_t>(fit.Number("questions")),
                       fit.Number("budget"),
                       {fit.Number("share"), fit.Number("accuracy")},
                       fit.Number("device"),
                       fit.Number("server"),
                       fit.Text("model")};
    if (!fit.wrong().empty()) return Broken(path, "fit." + fit.wrong());
  }
  return gate;
}

Status SaveGate(const Gate& gate, const std::string& path) {
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
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return base::WriteFileAtomically(
      path, [&](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(text))); });
}

}  // namespace ondine
