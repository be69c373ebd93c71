// Texts as one.
#ifndef ONDINE_SRC_BASE_JOIN_H_
#define ONDINE_SRC_BASE_JOIN_H_

#include <string>
#include <string_view>
#include <vector>

namespace ondine::base {

// "a, b, c"
inline std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) text += separator;
    text += part;
  }
  return text;
}

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_JOIN_H_
