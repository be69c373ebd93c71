// Look-ups in a file that pot_reader.cc has read.
#include "formats/pot_file.h"

#include <utility>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::formats {
namespace {

std::string Describe(const PotValue& value) {
  struct Describer {
    std::string operator()(const std::string& text) const { return base::Quote(text); }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return std::to_string(number); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
  };
  return std::visit(Describer{}, value);
}

}  // namespace

tl::unexpected<Error> PotFile::Corrupt(std::string message) const {
  return MakeError(ErrorCode::kCorrupt, std::move(message), path_);
}

Result<const PotValue*> PotFile::Get(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return Corrupt("has no value " + base::Quote(key));
  return &found->second;
}

Result<std::string> PotFile::GetString(std::string_view key) const {
  ONDINE_ASSIGN(const PotValue* value, Get(key));
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  return Corrupt("value " + base::Quote(key) + " is not a string");
}

Result<bool> PotFile::GetBool(std::string_view key) const {
  ONDINE_ASSIGN(const PotValue* value, Get(key));
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  return Corrupt("value " + base::Quote(key) + " is not true or false");
}

Result<std::int64_t> PotFile::GetInt(std::string_view key, std::int64_t lowest,
                                     std::int64_t highest) const {
  ONDINE_ASSIGN(const PotValue* value, Get(key));
  const auto* number = std::get_if<std::int64_t>(value);
  if (number == nullptr) return Corrupt("value " + base::Quote(key) + " is not an integer");
  if (*number < lowest || *number > highest) {
    return Corrupt("value " + base::Quote(key) + " is " + Describe(*value) + ", outside " +
                   std::to_string(lowest) + ".." + std::to_string(highest));
  }
  return *number;
}

Result<double> PotFile::GetNumber(std::string_view key, double lowest, double highest) const {
  ONDINE_ASSIGN(const PotValue* value, Get(key));
  const auto* number = std::get_if<double>(value);
  if (number == nullptr) return Corrupt("value " + base::Quote(key) + " is not a number");
  // Written so that NaN fails.
  if (!(*number >= lowest && *number <= highest)) {
    return Corrupt("value " + base::Quote(key) + " is " + Describe(*value) + ", out of range");
  }
  return *number;
}

Status PotFile::Expect(std::string_view key, const PotValue& expected) const {
  ONDINE_ASSIGN(const PotValue* value, Get(key));
  if (*value == expected) return {};
  return MakeError(ErrorCode::kMismatch,
                   base::Quote(key) + " is " + Describe(*value) + " in the file, but " +
                       Describe(expected) + " here",
                   path_);
}

Result<std::span<const std::byte>> PotFile::Section(std::string_view name) const {
  const auto found = sections_.find(name);
  if (found == sections_.end()) return Corrupt("has no section " + base::Quote(name));
  return found->second;
}

Result<std::span<const std::byte>> PotFile::SizedSection(std::string_view name, std::uint64_t count,
                                                         std::uint64_t element_size) const {
  ONDINE_ASSIGN(const auto section, Section(name));
  if (section.size() % element_size != 0 || section.size() / element_size != count) {
    return Corrupt("section " + base::Quote(name) + " has " + std::to_string(section.size()) +
                   " bytes, it should have " + std::to_string(count) + " elements of " +
                   std::to_string(element_size));
  }
  return section;
}

}  // namespace ondine::formats
