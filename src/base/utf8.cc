#include "base/utf8.h"

#include <algorithm>

namespace ondine::base {
namespace {

constexpr unsigned char Byte(char c) {
  return static_cast<unsigned char>(c);
}

// Bytes that a character with this first byte has; 0 if no character begins with it.
std::size_t LengthFromFirst(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) return 3;
  return first < 0xF5 ? 4 : 0;
}

// The second byte rules out overlong forms, surrogates and code points above U+10FFFF.
bool IsSecond(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0: return second >= 0xA0 && second < 0xC0;
    case 0xED: return second >= 0x80 && second < 0xA0;
    case 0xF0: return second >= 0x90 && second < 0xC0;
    case 0xF4: return second >= 0x80 && second < 0x90;
    default: return second >= 0x80 && second < 0xC0;
  }
}

// Number of leading bytes of `text` that fit one character, at most the character's length.
std::size_t FittingBytes(std::string_view text, std::size_t length) {
  const std::size_t size = std::min(text.size(), length);
  if (size < 2) return size;
  if (!IsSecond(Byte(text[0]), Byte(text[1]))) return 1;
  std::size_t fitting = 2;
  while (fitting < size && (Byte(text[fitting]) & 0xC0) == 0x80) ++fitting;
  return fitting;
}

}  // namespace

std::size_t CharacterLength(std::string_view text) {
  const std::size_t length = LengthFromFirst(Byte(text[0]));
  return FittingBytes(text, length) == length ? length : 0;
}

bool IsCharacterPrefix(std::string_view text) {
  if (text.empty()) return false;
  const std::size_t length = LengthFromFirst(Byte(text[0]));
  return text.size() < length && FittingBytes(text, length) == text.size();
}

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = CharacterLength(text.substr(i));
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::uint32_t CodePoint(std::string_view character) {
  constexpr unsigned kFirstByteMask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  std::uint32_t code_point = Byte(character[0]) & kFirstByteMask[character.size()];
  for (const char c : character.substr(1)) code_point = code_point << 6 | (Byte(c) & 0x3F);
  return code_point;
}

void AppendUtf8(std::uint32_t code_point, std::string& out) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      put(0xE0 | code_point >> 12);
    } else {
      put(0xF0 | code_point >> 18);
      put(0x80 | (code_point >> 12 & 0x3F));
    }
    put(0x80 | (code_point >> 6 & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

std::string Utf8Stream::Push(std::string_view bytes) {
  pending_ += bytes;
  std::string_view rest = pending_;
  std::string whole;
  while (!rest.empty() && !IsCharacterPrefix(rest)) {
    const std::size_t length = CharacterLength(rest);
    whole += length > 0 ? rest.substr(0, length) : kReplacement;
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  pending_ = std::string(rest);
  return whole;
}

std::string Utf8Stream::Finish() {
  const bool incomplete = !pending_.empty();
  pending_.clear();
  return incomplete ? std::string(kReplacement) : std::string();
}

}  // namespace ondine::base
