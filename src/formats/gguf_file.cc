// Look-ups in a file that gguf_reader.cc has read.
#include <limits>

#include "base/quote.h"
#include "formats/gguf.h"

namespace ondine::formats {
namespace {

std::string_view TypeName(const GgufValue& value) {
  struct Namer {
    std::string_view operator()(std::int64_t) const { return "an integer"; }
    std::string_view operator()(std::uint64_t) const { return "an unsigned integer"; }
    std::string_view operator()(double) const { return "a float"; }
    std::string_view operator()(bool) const { return "a boolean"; }
    std::string_view operator()(const std::string&) const { return "a string"; }
    std::string_view operator()(const std::vector<std::int64_t>&) const {
      return "an array of integers";
    }
    std::string_view operator()(const std::vector<std::uint64_t>&) const {
      return "an array of unsigned integers";
    }
    std::string_view operator()(const std::vector<float>&) const { return "an array of floats"; }
    std::string_view operator()(const std::vector<std::string>&) const {
      return "an array of strings";
    }
  };
  return std::visit(Namer{}, value);
}

constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

}  // namespace

tl::unexpected<Error> GgufFile::WrongType(std::string_view key, std::string_view wanted) const {
  return MakeError(ErrorCode::kCorrupt,
                   "key " + base::Quote(key) + " is " + std::string(TypeName(*Find(key))) +
                       ", it should be " + std::string(wanted),
                   path_);
}

const GgufValue* GgufFile::Find(std::string_view key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

Result<std::optional<std::int64_t>> GgufFile::FindInt(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<std::int64_t>(value)) return *number;
  if (const auto* number = std::get_if<std::uint64_t>(value); number && *number <= kLargest) {
    return static_cast<std::int64_t>(*number);
  }
  return WrongType(key, "an integer of at most 63 bits");
}

Result<std::optional<double>> GgufFile::FindNumber(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<std::uint64_t>(value)) return static_cast<double>(*number);
  return WrongType(key, "a number");
}

Result<std::optional<bool>> GgufFile::FindBool(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* boolean = std::get_if<bool>(value)) return *boolean;
  return WrongType(key, "a boolean");
}

Result<std::optional<std::string>> GgufFile::FindString(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  return WrongType(key, "a string");
}

Result<std::optional<std::vector<std::int64_t>>> GgufFile::FindInts(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(value)) return *numbers;
  if (const auto* numbers = std::get_if<std::vector<std::uint64_t>>(value)) {
    std::vector<std::int64_t> result;
    result.reserve(numbers->size());
    for (const std::uint64_t number : *numbers) {
      if (number > kLargest) return WrongType(key, "an array of integers of at most 63 bits");
      result.push_back(static_cast<std::int64_t>(number));
    }
    return result;
  }
  return WrongType(key, "an array of integers");
}

Result<const std::vector<std::string>*> GgufFile::FindStrings(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return nullptr;
  if (const auto* strings = std::get_if<std::vector<std::string>>(value)) return strings;
  return WrongType(key, "an array of strings");
}

Result<const std::vector<float>*> GgufFile::FindFloats(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return nullptr;
  if (const auto* floats = std::get_if<std::vector<float>>(value)) return floats;
  return WrongType(key, "an array of floats");
}

}  // namespace ondine::formats
