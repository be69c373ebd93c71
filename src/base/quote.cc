#include "base/quote.h"

#include <algorithm>
#include <cstddef>

#include "base/control_characters.h"
#include "base/utf8.h"

namespace ondine::base {
namespace {

bool IsShown(std::string_view character) {
  return character[0] != '\\' && character[0] != '\n' && character[0] != '\t' &&
         ControlLength(character) == 0 && DirectionLength(character) == 0;
}

void AppendHex(std::string_view bytes, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
  }
}

}  // namespace

std::string Quote(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  std::string quoted = "'";
  std::size_t done = 0;
  while (done < text.size()) {
    const std::string_view rest = text.substr(done);
    const std::size_t length = CharacterLength(rest);
    const std::string_view next = rest.substr(0, std::max<std::size_t>(length, 1));
    if (done + next.size() > kLongest) break;
    if (length > 0 && IsShown(next)) {
      quoted += next;
    } else {
      AppendHex(next, quoted);
    }
    done += next.size();
  }
  return quoted + (done < text.size() ? "'..." : "'");
}

}  // namespace ondine::base
