#include "base/control_characters.h"

#include <gtest/gtest.h>

#include <string_view>

namespace ondine::base {
namespace {

TEST(ControlCharacters, AreFoundByTheirLength) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"\x1b[8m"sv, "\r"sv, "\x7f"sv, "\0"sv}) {
    EXPECT_EQ(ControlLength(text), 1u) << text;
  }
  for (const std::string_view text : {"\xc2\x80"sv, "\xc2\x9bm"sv})
    EXPECT_EQ(ControlLength(text), 2u);
  for (const std::string_view text :
       {""sv, "a\x1b"sv, "\n"sv, "\t"sv, "\xc2\xa0"sv, "\xc3\x9b"sv, "\xc2"sv}) {
    EXPECT_EQ(ControlLength(text), 0u) << text;
  }
}

TEST(ControlCharacters, ThatTurnTheDirectionOfWritingAreFoundByTheirLength) {
  EXPECT_EQ(DirectionLength("\u061ca"), 2u);
  EXPECT_EQ(DirectionLength("\u202e"), 3u);
  EXPECT_EQ(DirectionLength("\u2069"), 3u);
  for (const std::string_view text : {"", "a\u202e", "\u05d0", "\u200d", "\xe2\x80"}) {
    EXPECT_EQ(DirectionLength(text), 0u) << text;
  }
}

}  // namespace
}  // namespace ondine::base
