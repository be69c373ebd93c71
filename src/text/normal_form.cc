#include "text/normal_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>

#include "base/utf8.h"

namespace ondine::text {
namespace {

// The property White_Space.
bool IsSpace(std::uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

struct Character {
  std::uint32_t code_point;
  NormalForm::Origin origin;
};

std::vector<Character> Decode(std::string_view text) {
  std::vector<Character> characters;
  characters.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = base::CharacterLength(text.substr(i));
    const std::size_t end = i + std::max<std::size_t>(length, 1);
    characters.push_back({length > 0 ? base::CodePoint(text.substr(i, length)) : 0xFFFD, {i, end}});
    i = end;
  }
  return characters;
}

// The only character whose lower case is two: i with a dot above it.
constexpr std::uint32_t kCapitalIWithDot = 0x130;

void AppendLower(std::uint32_t code_point, std::string& out) {
  if (code_point == kCapitalIWithDot) {
    out += "i\xCC\x87";
    return;
  }
  base::AppendUtf8(
      static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))), out);
}

// What a grapheme cluster becomes. Characters of two clusters never compose.
void AppendComposed(std::span<const Character> cluster, std::string& out) {
  std::string bytes;
  for (const Character& character : cluster) base::AppendUtf8(character.code_point, bytes);
  // Unicode's longest canonical decomposition has four characters.
  std::vector<utf8proc_int32_t> characters(cluster.size() * 4);
  utf8proc_ssize_t count =
      utf8proc_decompose(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
                         static_cast<utf8proc_ssize_t>(bytes.size()), characters.data(),
                         static_cast<utf8proc_ssize_t>(characters.size()),
                         static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
  assert(count >= 0 && static_cast<std::size_t>(count) <= characters.size());
  count = utf8proc_normalize_utf32(
      characters.data(), count, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    AppendLower(static_cast<std::uint32_t>(characters[static_cast<std::size_t>(i)]), out);
  }
}

}  // namespace

NormalForm Normalize(std::string_view text) {
  const std::vector<Character> characters = Decode(text);
  NormalForm normal;
  normal.text.reserve(text.size());
  const auto finish = [&](NormalForm::Origin origin) {
    normal.origins.resize(normal.text.size(), origin);
  };
  bool space = false;
  for (std::size_t i = 0; i < characters.size();) {
    if (IsSpace(characters[i].code_point)) {
      space = !normal.text.empty();
      ++i;
      continue;
    }
    if (space) {
      normal.text += ' ';
      finish(characters[i - 1].origin);
      space = false;
    }
    std::size_t end = i + 1;
    utf8proc_int32_t state = 0;
    while (end < characters.size() && !IsSpace(characters[end].code_point) &&
           !utf8proc_grapheme_break_stateful(
               static_cast<utf8proc_int32_t>(characters[end - 1].code_point),
               static_cast<utf8proc_int32_t>(characters[end].code_point), &state)) {
      ++end;
    }
    AppendComposed(std::span(characters).subspan(i, end - i), normal.text);
    finish({characters[i].origin.begin, characters[end - 1].origin.end});
    i = end;
  }
  return normal;
}

}  // namespace ondine::text
