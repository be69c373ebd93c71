// Scores of evaluations, as JSON and as lines.
#ifndef ONDINE_SRC_CLI_EVAL_REPORT_H_
#define ONDINE_SRC_CLI_EVAL_REPORT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "eval/runner.h"

namespace ondine::cli {

nlohmann::json ScoreJson(const eval::Cell& cell);

// "name    45.3 %  [40.1, 50.6]  n = 200"
std::string ScoreLine(const std::string& name, const eval::Cell& cell);

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_EVAL_REPORT_H_
