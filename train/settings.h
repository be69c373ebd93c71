// What decides the result of a training, in words: a pool's provenance, and what a checkpoint must
// agree with.
#ifndef ONDINE_TRAIN_SETTINGS_H_
#define ONDINE_TRAIN_SETTINGS_H_

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ondine::train {

class Settings {
 public:
  Settings() = default;
  explicit Settings(std::vector<std::string> entries) : entries_(std::move(entries)) {}

  void Add(std::string_view name, std::string_view value);
  // With as many digits as it takes to tell it from every other number.
  void Add(std::string_view name, double value);
  void Add(std::string_view name, std::integral auto value) { Add(name, std::to_string(value)); }

  const std::vector<std::string>& entries() const { return entries_; }  // "rank 8"
  std::string Text() const;                                             // "rank 8, seed 1"
  // Those that `other` has not.
  Settings Without(const Settings& other) const;

 private:
  std::vector<std::string> entries_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_SETTINGS_H_
