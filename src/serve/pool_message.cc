#include "serve/pool_message.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/try.h"

namespace ondine::serve {
namespace {

using Json = nlohmann::json;

constexpr int kMostDepth = 3;  // an object of lists of lists
constexpr std::size_t kMostDimensions = std::size_t{1} << 16;

// Of the length of an indicator, which is a direction. A longer one would tell more digits.
constexpr double kTolerance = 1e-3;

double Length(const std::vector<float>& direction) {
  return std::sqrt(std::inner_product(direction.begin(), direction.end(), direction.begin(), 0.0));
}

tl::unexpected<Error> Broken(const std::string& what) {
  return MakeError(ErrorCode::kCorrupt, "is no message of a pool: " + what);
}

// Numbers, all finite and at most `most` of them; nullopt where they are not.
template <typename Number>
std::optional<std::vector<Number>> Numbers(const Json& json, std::size_t most) {
  if (!json.is_array() || json.empty() || json.size() > most) return std::nullopt;
  std::vector<Number> numbers;
  for (const Json& one : json) {
    if (!one.is_number()) return std::nullopt;
    numbers.push_back(one.get<Number>());
    if (!std::isfinite(numbers.back())) return std::nullopt;
  }
  return numbers;
}

// An object with exactly these keys.
Result<Json> Parse(std::string_view message, std::initializer_list<const char*> keys) {
  bool deep = false;
  // What is deeper is read over, not kept.
  const auto keep = [&](int depth, Json::parse_event_t, const Json&) {
    deep = deep || depth > kMostDepth;
    return depth <= kMostDepth;
  };
  const Json json = Json::parse(message, keep, /*allow_exceptions=*/false);
  if (deep) return Broken("it is nested too deeply");
  if (!json.is_object()) return Broken("no JSON object");
  for (const char* key : keys) {
    if (!json.contains(key)) return Broken(std::string(key) + " is missing");
  }
  if (json.size() != keys.size()) return Broken("there are keys that do not belong there");
  return json;
}

Result<std::string> Text(const Json& json, const char* key) {
  if (!json[key].is_string()) return Broken(std::string(key) + " is no text");
  return json[key].get<std::string>();
}

}  // namespace

std::string ToMessage(const PoolOutline& outline) {
  return nlohmann::ordered_json{{"pool", outline.pool},
                                {"base", outline.base},
                                {"mean", outline.tasks.mean},
                                {"indicators", outline.tasks.indicators}}
      .dump();
}

Result<PoolOutline> ParsePoolOutline(std::string_view message) {
  PoolOutline outline;
  ONDINE_ASSIGN(const Json json, Parse(message, {"pool", "base", "mean", "indicators"}));
  ONDINE_ASSIGN(outline.pool, Text(json, "pool"));
  ONDINE_ASSIGN(outline.base, Text(json, "base"));
  auto mean = Numbers<float>(json["mean"], kMostDimensions);
  if (!mean) return Broken("mean holds no numbers");
  outline.tasks.mean = std::move(*mean);
  const Json& indicators = json["indicators"];
  if (!indicators.is_array() || indicators.empty() || indicators.size() > kMostAdapters) {
    return Broken("indicators is no list of 1 to " + std::to_string(kMostAdapters));
  }
  for (const Json& one : indicators) {
    auto numbers = Numbers<float>(one, kMostDimensions);
    if (!numbers || numbers->size() != outline.tasks.mean.size()) {
      return Broken("an indicator does not have as many numbers as the mean");
    }
    if (std::abs(Length(*numbers) - 1) > kTolerance) {
      return Broken("an indicator is no direction of length 1");
    }
    outline.tasks.indicators.push_back(std::move(*numbers));
  }
  return outline;
}

std::string ToMessage(const PoolRequest& request) {
  nlohmann::ordered_json json = {{"pool", request.pool}};
  for (const double similarity : request.similarities) {
    json["similarities"].push_back(std::round(1000 * std::clamp(similarity, -1.0, 1.0)) / 1000);
  }
  return json.dump();
}

Result<PoolRequest> ParsePoolRequest(std::string_view message) {
  PoolRequest request;
  ONDINE_ASSIGN(const Json json, Parse(message, {"pool", "similarities"}));
  ONDINE_ASSIGN(request.pool, Text(json, "pool"));
  auto similarities = Numbers<double>(json["similarities"], kMostAdapters);
  if (!similarities) return Broken("similarities holds no numbers");
  request.similarities = std::move(*similarities);
  return request;
}

}  // namespace ondine::serve
