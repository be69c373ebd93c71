#include "cli/eval_report.h"

#include <algorithm>

#include "cli/console.h"

namespace ondine::cli {

nlohmann::json ScoreJson(const eval::Cell& cell) {
  return {{"n", cell.n}, {"score", cell.score}, {"ci95", cell.ci95}};
}

std::string ScoreLine(const std::string& name, const eval::Cell& cell) {
  std::string line = name;
  line.resize(std::max<std::size_t>(28, line.size() + 1), ' ');
  line.append(Fixed(100 * cell.score, 1)).append(" %  [").append(Fixed(100 * cell.ci95[0], 1));
  line.append(", ").append(Fixed(100 * cell.ci95[1], 1)).append("]  n = ");
  line.append(std::to_string(cell.n));
  return line;
}

}  // namespace ondine::cli
