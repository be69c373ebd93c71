#include "cli/report.h"

namespace ondine::cli {
namespace {

const char* FinishName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfText: return "end";
    case FinishReason::kStopText: return "stop";
    case FinishReason::kMaxTokens: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kReplaced: return "replaced";
  }
  return "";
}

}  // namespace

nlohmann::json ToJson(const Generation& generation) {
  return {{"text", generation.text},
          {"finish", FinishName(generation.finish)},
          {"tokens_prompt", generation.tokens_prompt},
          {"tokens_generated", generation.tokens_generated},
          {"seconds",
           {{"prompt", generation.seconds_prompt}, {"generate", generation.seconds_generate}}}};
}

nlohmann::json ToJson(const SessionReport& report) {
  return {{"slots", report.slots},           {"bounded", report.bounded},
          {"policy", report.policy},         {"question_aware", report.question_aware},
          {"entries", report.entries},       {"peak_entries", report.peak_entries},
          {"peak_bytes", report.peak_bytes}, {"distillations", report.distillations}};
}

nlohmann::json ToJson(const Confidence& confidence) {
  return {{"probability", confidence.probability},
          {"margin", confidence.margin},
          {"entropy", confidence.entropy},
          {"tokens", confidence.tokens}};
}

nlohmann::json ToJson(const HybridDecision& decision) {
  nlohmann::json out = {{"server", decision.server},
                        {"reason", HybridReasonName(decision.reason)},
                        {"why", decision.why},
                        {"left", decision.left}};
  if (decision.task) out["task"] = *decision.task;
  if (decision.confidence) out["confidence"] = ToJson(*decision.confidence);
  if (decision.failure) out["failure"] = ServerFailureName(*decision.failure);
  return out;
}

nlohmann::json ToJson(const std::vector<Error>& errors) {
  nlohmann::json list = nlohmann::json::array();
  for (const Error& error : errors) {
    list.push_back({{"path", error.context}, {"reason", error.message}});
  }
  return list;
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ondine::cli
