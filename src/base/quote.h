// Untrusted text in messages.
#ifndef ONDINE_SRC_BASE_QUOTE_H_
#define ONDINE_SRC_BASE_QUOTE_H_

#include <string>
#include <string_view>

namespace ondine::base {

// 'text' in single quotes, safe to print on one line of a terminal: characters that drive it or
// turn the direction of writing, bytes that are no UTF-8 and backslashes become \xNN, and what goes
// beyond 64 bytes becomes "...".
std::string Quote(std::string_view text);

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_QUOTE_H_
