// UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef ONDINE_SRC_BASE_UTF8_H_
#define ONDINE_SRC_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ondine::base {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Length (1 to 4) of the character that `text` begins with; 0 if it is none. `text` is not empty.
std::size_t CharacterLength(std::string_view text);

// True if `text`, which is no character, may become one when more bytes follow.
bool IsCharacterPrefix(std::string_view text);

bool IsUtf8(std::string_view text);

// The code point of a character of the length that CharacterLength() gave.
std::uint32_t CodePoint(std::string_view character);
void AppendUtf8(std::uint32_t code_point, std::string& out);

// Collects pieces of a stream and gives out only whole UTF-8 characters. Bytes that can never
// become a character come out as U+FFFD.
class Utf8Stream {
 public:
  std::string Push(std::string_view bytes);
  std::string Finish();  // what is left, incomplete characters replaced

 private:
  std::string pending_;
};

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_UTF8_H_
