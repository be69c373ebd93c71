#include "train/settings.h"

#include <algorithm>
#include <charconv>

#include "base/join.h"

namespace ondine::train {

void Settings::Add(std::string_view name, std::string_view value) {
  entries_.push_back(std::string(name) + " " + std::string(value));
}

void Settings::Add(std::string_view name, double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  Add(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

std::string Settings::Text() const {
  return base::Join(entries_, ", ");
}

Settings Settings::Without(const Settings& other) const {
  Settings rest = *this;
  std::erase_if(rest.entries_, [&](const std::string& entry) {
    return std::ranges::find(other.entries_, entry) != other.entries_.end();
  });
  return rest;
}

}  // namespace ondine::train
