// White space of ASCII, whatever the locale.
#ifndef ONDINE_SRC_TEXT_WHITE_SPACE_H_
#define ONDINE_SRC_TEXT_WHITE_SPACE_H_

#include <string_view>

namespace ondine::text {

inline bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

inline std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_WHITE_SPACE_H_
