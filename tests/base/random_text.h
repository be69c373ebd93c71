// Texts of random characters, the same ones at every run.
#ifndef ONDINE_TESTS_BASE_RANDOM_TEXT_H_
#define ONDINE_TESTS_BASE_RANDOM_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "base/utf8.h"

namespace ondine::testing {

class RandomText {
 public:
  explicit RandomText(std::uint32_t seed) : random_(seed) {}

  std::size_t Below(std::size_t limit) { return random_() % limit; }

  // Characters of all planes, assigned or not, with runs of ASCII, spaces and digits between them.
  std::string Unicode(std::size_t characters) {
    std::string text;
    while (characters-- > 0) base::AppendUtf8(CodePoint(), text);
    return text;
  }
  std::string Bytes(std::size_t count) {
    std::string text;
    while (count-- > 0) text.push_back(static_cast<char>(random_()));
    return text;
  }

 private:
  std::uint32_t CodePoint() {
    constexpr std::uint32_t kEdges[] = {0,      0x7F,   0x80,   0x7FF,   0x800,    0xD7FF,
                                        0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF, 0x2581};
    switch (Below(6)) {
      case 0: return static_cast<std::uint32_t>(Below(0x80));
      case 1: return static_cast<std::uint32_t>(Below(0x3000));
      case 2: return kEdges[Below(std::size(kEdges))];
      case 3: return static_cast<std::uint32_t>(" \n\t0123'sS"[Below(10)]);
      default: break;
    }
    const auto code_point = static_cast<std::uint32_t>(Below(0x110000 - 0x800));
    return code_point < 0xD800 ? code_point : code_point + 0x800;
  }

  std::mt19937 random_;
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_BASE_RANDOM_TEXT_H_
