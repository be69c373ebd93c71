#include "base/control_characters.h"

namespace ondine::base {

std::size_t ControlLength(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return static_cast<unsigned char>(i < text.size() ? text[i] : ' ');
  };
  if ((at(0) < 0x20 && at(0) != '\n' && at(0) != '\t') || at(0) == 0x7f) return 1;
  return at(0) == 0xc2 && at(1) >= 0x80 && at(1) < 0xa0 ? 2 : 0;
}

}  // namespace ondine::base
