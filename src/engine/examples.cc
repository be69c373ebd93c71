#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/file.h"
#include "base/try.h"
#include "ondine/adapter_pool.h"

namespace ondine {
namespace {

// A few hundred examples are many.
constexpr std::size_t kLargestFile = std::size_t{64} << 20;

// nullopt where the line is not what it should be.
std::optional<Example> Parse(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto prompt = json.find("prompt"), answer = json.find("answer");
  if (prompt == json.end() || !prompt->is_string()) return std::nullopt;
  if (answer != json.end() && !answer->is_string()) return std::nullopt;
  return Example{prompt->get<std::string>(),
                 answer == json.end() ? "" : answer->get<std::string>()};
}

}  // namespace

Result<std::vector<Example>> LoadExamples(const std::string& path) {
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  if (text.size() > kLargestFile) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "has " + std::to_string(text.size()) +
                         " bytes; a task is described by a few examples, not by a data set",
                     path);
  }
  std::istringstream lines(text);
  std::vector<Example> examples;
  std::string line;
  for (std::int64_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto example = Parse(line);
    if (!example) {
      return MakeError(ErrorCode::kCorrupt,
                       "not an example; expected a line such as {\"prompt\": \"...\", "
                       "\"answer\": \"...\"}",
                       path + ", line " + std::to_string(number));
    }
    examples.push_back(*example);
  }
  if (examples.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "there are no examples in it", path);
  }
  return examples;
}

}  // namespace ondine
