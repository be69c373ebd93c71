#include "base/checksum.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ondine::base {
namespace {

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// The values of `printf '' | xxhsum -H3` (0.8.1) and `printf Ondine | xxhsum -H3`: files keep them,
// so that another release of the library must not change them.
TEST(Hash64, IsXxh3) {
  EXPECT_EQ(Hash64({}), 0x2d06800538d394c2u);
  EXPECT_EQ(Hash64(Bytes("Ondine")), 0xc2a50be651eb10a0u);
}

TEST(Hash64, ChangesWithEveryBit) {
  std::string text(300, 'x');
  const std::uint64_t hash = Hash64(Bytes(text));
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(Hash64(Bytes(text)), hash) << bit;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(Checksum, InPiecesEqualsTheWhole) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i * i);
  for (const std::size_t piece : {1u, 7u, 64u, 1000u, 100000u}) {
    Checksum checksum;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      checksum.Update(Bytes(std::string_view(text).substr(at, piece)));
    }
    EXPECT_EQ(checksum.Value(), Hash64(Bytes(text))) << piece;
  }
}

TEST(Checksum, DigitsAreTheValueInSixteenPlaces) {
  Checksum hash;
  hash.Update(std::as_bytes(std::span("x", 1)));
  EXPECT_EQ(hash.Digits().size(), 16U);
  EXPECT_EQ(std::stoull(hash.Digits(), nullptr, 16), hash.Value());
}

}  // namespace
}  // namespace ondine::base
