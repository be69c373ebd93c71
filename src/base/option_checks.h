// What the values of a command's options must be, for CLI11, with messages for people.
#ifndef ONDINE_SRC_BASE_OPTION_CHECKS_H_
#define ONDINE_SRC_BASE_OPTION_CHECKS_H_

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ondine::base {

// One of some names: for CLI::Option::transform(), where the option is an enumeration.
template <typename Enum>
CLI::Validator OneOf(const std::vector<std::pair<std::string, Enum>>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) names += (names.empty() ? "" : "|") + name;
  const auto check = [choices, names](std::string& input) -> std::string {
    for (const auto& [name, value] : choices) {
      if (input != name) continue;
      input = std::to_string(static_cast<int>(value));  // what CLI11 reads an enumeration from
      return {};
    }
    return "must be " + names + ", not " + input;
  };
  return CLI::Validator(check, names);
}

// A number from `least` on, or, if `above`, above it.
inline CLI::Validator NumberFrom(double least, bool above, const std::string& what) {
  const auto check = [=](const std::string& input) -> std::string {
    double number = 0;
    const bool fits =
        CLI::detail::lexical_cast(input, number) && (above ? number > least : number >= least);
    return fits ? std::string() : "must be " + what + ", not " + input;
  };
  return CLI::Validator(check, what);
}
// A whole number that 64 bits hold: CLI11 wraps a negative one and cuts a larger one.
inline CLI::Validator Seed() {
  const auto check = [](const std::string& input) -> std::string {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(input.data(), input.data() + input.size(), number);
    const bool fits = error == std::errc() && end == input.data() + input.size();
    return fits ? std::string() : "must be a whole number from 0 to 2^64-1, not " + input;
  };
  return CLI::Validator(check, "UINT");
}
inline CLI::Validator Positive() {
  return NumberFrom(0, true, "a number above 0");
}
inline CLI::Validator NotNegative() {
  return NumberFrom(0, false, "0 or more");
}

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_OPTION_CHECKS_H_
