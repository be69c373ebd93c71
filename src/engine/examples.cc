#include "base/try.h"
#include "engine/json_lines.h"
#include "ondine/adapter_pool.h"
#include "ondine/gate_measurement.h"
#include "text/words.h"

namespace ondine {
Result<std::vector<Example>> LoadExamples(const std::string& path) {
  std::vector<Example> examples;
  ONDINE_TRY(engine::ReadJsonLines(
      path, R"({"prompt": "...", "answer": "..."})", [&](const nlohmann::json& json) {
        const auto prompt = engine::TextOf(json, "prompt"), answer = engine::TextOf(json, "answer");
        // Programs that write such files put null where they have no answer.
        const bool none = !json.contains("answer") || json["answer"].is_null();
        if (!prompt || (!answer && !none)) return false;
        examples.push_back({*prompt, answer.value_or("")});
        return true;
      }));
  return examples;
}

Result<std::vector<GateSample>> LoadGateSamples(const std::string& path) {
  std::vector<GateSample> samples;
  ONDINE_TRY(engine::ReadJsonLines(
      path, R"({"prompt": "...", "answer": "...", "server": 1})", [&](const nlohmann::json& json) {
        const auto prompt = engine::TextOf(json, "prompt"), answer = engine::TextOf(json, "answer");
        // An answer without a word would never be given.
        if (!prompt || !answer || text::Words(*answer).empty()) return false;
        GateSample sample{*prompt, *answer};
        if (const auto server = json.find("server"); server != json.end()) {
          if (!server->is_number()) return false;
          sample.server = server->get<double>();
          if (!(sample.server >= 0 && sample.server <= 1)) return false;
        }
        samples.push_back(std::move(sample));
        return true;
      }));
  return samples;
}

}  // namespace ondine
