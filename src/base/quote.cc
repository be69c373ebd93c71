#include "base/quote.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/control_characters.h"
#include "base/utf8.h"

namespace ondine::base {
namespace {

// Characters that are not seen themselves and change what is seen around them: they hide text,
// end lines or turn the direction of writing.
bool IsInvisible(std::uint32_t code_point) {
  return code_point == 0xAD || code_point == 0x061C || code_point == 0xFEFF ||
         (code_point >= 0x200B && code_point <= 0x200F) ||
         (code_point >= 0x2028 && code_point <= 0x202E) ||
         (code_point >= 0x2060 && code_point <= 0x206F) ||
         (code_point >= 0xE0000 && code_point <= 0xE0FFF);
}

bool IsShown(std::string_view character) {
  return character[0] != '\\' && character[0] != '\n' && character[0] != '\t' &&
         ControlLength(character) == 0 && !IsInvisible(CodePoint(character));
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
