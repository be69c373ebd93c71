#include "engine/json_lines.h"

#include <sstream>

#include "base/file.h"
#include "base/guarded.h"
#include "base/try.h"

namespace ondine::engine {
namespace {

// A few hundred lines are many.
constexpr std::size_t kLargestFile = std::size_t{64} << 20;

}  // namespace

Status ReadJsonLines(const std::string& path, const std::string& form,
                     const std::function<bool(const nlohmann::json& object)>& take) {
  const auto read = [&]() -> Status {
    ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
    if (text.size() > kLargestFile) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "has " + std::to_string(text.size()) +
                           " bytes; a few examples are wanted, not a data set",
                       path);
    }
    std::istringstream lines(text);
    std::string line;
    bool any = false;
    for (std::int64_t number = 1; std::getline(lines, line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      const bool object = json.is_object();
      if (!object || !take(json)) {
        return MakeError(ErrorCode::kCorrupt,
                         std::string(object ? "a field is missing or has another type"
                                            : "this is no JSON object") +
                             "; expected a line such as " + form,
                         path + ", line " + std::to_string(number));
      }
      any = true;
    }
    if (!any) return MakeError(ErrorCode::kInvalidArgument, "there are no examples in it", path);
    return {};
  };
  return base::Guarded(read, "there is not enough memory for the examples", path);
}

std::optional<std::string> TextOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace ondine::engine
