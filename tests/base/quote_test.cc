#include "base/quote.h"

#include <gtest/gtest.h>

#include <string>

#include "base/control_characters.h"
#include "base/random_text.h"
#include "base/utf8.h"

namespace ondine::base {
namespace {

TEST(Quote, ShowsTextOfAnyScript) {
  EXPECT_EQ(Quote("a plain name"), "'a plain name'");
  EXPECT_EQ(Quote("фото, 写真, café 👟"), "'фото, 写真, café 👟'");
  EXPECT_EQ(Quote(""), "''");
}

TEST(Quote, NamesTheBytesOfWhatWouldDriveOrDeceiveATerminal) {
  EXPECT_EQ(Quote("a\nb\tc\x1b[2J\x7f"), "'a\\x0ab\\x09c\\x1b[2J\\x7f'");
  EXPECT_EQ(Quote("\u009b31m"), "'\\xc2\\x9b31m'");
  EXPECT_EQ(Quote("exe\u202egnp"), "'exe\\xe2\\x80\\xaegnp'");
  EXPECT_EQ(Quote("\xff\xc3("), "'\\xff\\xc3('");
  EXPECT_EQ(Quote("C:\\"), "'C:\\x5c'");
}

TEST(Quote, IsCutBetweenCharacters) {
  EXPECT_EQ(Quote(std::string(64, 'a')), "'" + std::string(64, 'a') + "'");
  EXPECT_EQ(Quote(std::string(65, 'a')), "'" + std::string(64, 'a') + "'...");
  EXPECT_EQ(Quote(std::string(63, 'a') + "é"), "'" + std::string(63, 'a') + "'...");
}

TEST(Quote, IsOneLineOfWellFormedTextWhateverTheBytes) {
  testing::RandomText random(7);
  for (int i = 0; i < 500; ++i) {
    const std::string quoted =
        Quote(i % 2 == 0 ? random.Bytes(random.Below(90)) : random.Unicode(random.Below(40)));
    EXPECT_TRUE(IsUtf8(quoted));
    for (std::size_t at = 0; at < quoted.size(); ++at) {
      EXPECT_EQ(ControlLength(std::string_view(quoted).substr(at)), 0u) << quoted;
      EXPECT_NE(quoted[at], '\n');
    }
  }
}

}  // namespace
}  // namespace ondine::base
