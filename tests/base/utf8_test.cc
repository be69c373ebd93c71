#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/random_text.h"

namespace ondine::base {
namespace {

using namespace std::string_view_literals;

std::string InPieces(std::string_view bytes, std::size_t size) {
  Utf8Stream stream;
  std::string out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    const std::string piece = stream.Push(bytes.substr(0, size));
    EXPECT_TRUE(IsUtf8(piece));
    out += piece;
  }
  return out + stream.Finish();
}

TEST(Utf8, KnowsWhatUnicodeCallsWellFormed) {
  for (const auto good : {""sv, "a"sv, "\0"sv, "é"sv, "한"sv, "\xED\x9F\xBF"sv, "\xEE\x80\x80"sv,
                          "\xF0\x90\x80\x80"sv, "\xF4\x8F\xBF\xBF"sv}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const auto bad : {"\x80"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xC3"sv, "\xC3("sv,
                         "\xE0\x9F\xBF"sv, "\xED\xA0\x80"sv, "\xE2\x82"sv, "\xF0\x8F\xBF\xBF"sv,
                         "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv, "\xFF"sv}) {
    EXPECT_FALSE(IsUtf8(bad)) << ::testing::PrintToString(bad);
  }
}

TEST(Utf8, WritesAndReadsEveryCodePoint) {
  for (std::uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
    if (code_point == 0xD800) code_point = 0xE000;
    std::string text;
    AppendUtf8(code_point, text);
    ASSERT_EQ(CharacterLength(text), text.size()) << code_point;
    ASSERT_EQ(CodePoint(text), code_point);
    for (std::size_t size = 1; size < text.size(); ++size) {
      ASSERT_TRUE(IsCharacterPrefix(std::string_view(text).substr(0, size))) << code_point;
    }
  }
}

TEST(Utf8Stream, HoldsBackIncompleteCharactersOnly) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("a\xE2\x82"), "a");
  EXPECT_EQ(stream.Push("\xAC"
                        "b"),
            "€b");
  EXPECT_EQ(stream.Push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.Finish(), "\uFFFD");
  EXPECT_EQ(stream.Finish(), "");
  EXPECT_EQ(stream.Push("c"), "c");
}

TEST(Utf8Stream, ReplacesWhatCanNeverBeACharacter) {
  EXPECT_EQ(InPieces("\xFFz", 1), "\uFFFDz");
  EXPECT_EQ(InPieces("\xE2(", 1), "\uFFFD(");
  EXPECT_EQ(InPieces("\xED\xA0\x80", 1), "\uFFFD\uFFFD\uFFFD");
}

TEST(Utf8Stream, OutputDoesNotDependOnHowTheBytesArrive) {
  testing::RandomText random(1);
  for (int i = 0; i < 200; ++i) {
    std::string text = random.Unicode(20) + random.Bytes(10) + random.Unicode(5);
    const std::string whole = InPieces(text, text.size());
    for (const std::size_t size : {1, 2, 3, 5}) EXPECT_EQ(InPieces(text, size), whole);
  }
  const std::string valid = random.Unicode(500);
  EXPECT_EQ(InPieces(valid, 1), valid);
}

}  // namespace
}  // namespace ondine::base
