// What drives a terminal, or deceives who reads it, instead of being shown.
#ifndef ONDINE_SRC_BASE_CONTROL_CHARACTERS_H_
#define ONDINE_SRC_BASE_CONTROL_CHARACTERS_H_

#include <cstddef>
#include <string_view>

namespace ondine::base {

// Bytes of the control character that UTF-8 text begins with: 1 for C0 and DEL, 2 for C1; 0 where
// it begins with none. Line feeds and tabs are none.
std::size_t ControlLength(std::string_view text);

// Bytes of the character that UTF-8 text begins with where it changes the direction of writing
// (Unicode's bidirectional algorithm, UAX 9), else 0.
std::size_t DirectionLength(std::string_view text);

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_CONTROL_CHARACTERS_H_
