#include "base/control_characters.h"

#include <array>

namespace ondine::base {

std::size_t ControlLength(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return static_cast<unsigned char>(i < text.size() ? text[i] : ' ');
  };
  if ((at(0) < 0x20 && at(0) != '\n' && at(0) != '\t') || at(0) == 0x7f) return 1;
  return at(0) == 0xc2 && at(1) >= 0x80 && at(1) < 0xa0 ? 2 : 0;
}

std::size_t DirectionLength(std::string_view text) {
  constexpr std::array<std::string_view, 12> kCharacters = {"\u061c", "\u200e", "\u200f", "\u202a",
                                                            "\u202b", "\u202c", "\u202d", "\u202e",
                                                            "\u2066", "\u2067", "\u2068", "\u2069"};
  for (const std::string_view character : kCharacters) {
    if (text.starts_with(character)) return character.size();
  }
  return 0;
}

}  // namespace ondine::base
