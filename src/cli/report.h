// Results as JSON: the keys are a contract with scripts (docs/commands.md).
#ifndef ONDINE_SRC_CLI_REPORT_H_
#define ONDINE_SRC_CLI_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ondine/hybrid.h"
#include "ondine/result.h"
#include "ondine/session.h"

namespace ondine::cli {

nlohmann::json ToJson(const Generation& generation);
nlohmann::json ToJson(const SessionReport& report);
nlohmann::json ToJson(const Confidence& confidence);
nlohmann::json ToJson(const HybridDecision& decision);
// A list of what could not be read: path, reason.
nlohmann::json ToJson(const std::vector<Error>& errors);

// Indented; text that is not UTF-8 comes out with replacement characters.
std::string Dump(const nlohmann::json& json);

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_REPORT_H_
