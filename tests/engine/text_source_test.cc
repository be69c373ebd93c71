// Texts from files: what is given out, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/temp_dir.h"
#include "ondine/session.h"

namespace ondine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TextSourceTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_.File(name), std::ios::binary) << content;
    return folder_.File(name);
  }

  static Result<std::string> All(TextSource& source) {
    std::string text;
    while (true) {
      auto piece = source.Next();
      if (!piece || piece->empty()) return piece ? Result<std::string>(text) : piece;
      text += *piece;
    }
  }

  static Result<std::string> Read(const std::vector<std::string>& paths) {
    auto source = OpenTextFiles(paths);
    if (!source) return tl::make_unexpected(source.error());
    return All(**source);
  }

  const testing::TempDir folder_;
};

TEST_F(TextSourceTest, GivesOutAFileAsItIs) {
  const std::string text = "Line one\r\nline two, caf\xC3\xA9\t\xF0\x9F\x98\x80\n";
  EXPECT_EQ(Read({Write("a.txt", text)}).value(), text);
}

TEST_F(TextSourceTest, PutsABlankLineBetweenFiles) {
  EXPECT_EQ(Read({Write("a", "one"), Write("b", "two"), Write("c", "three")}).value(),
            "one\n\ntwo\n\nthree");
}

TEST_F(TextSourceTest, AStringIsGivenOutOnce) {
  EXPECT_EQ(All(*TextFromString("some text")).value(), "some text");
  EXPECT_EQ(All(*TextFromString("")).value(), "");
}

TEST_F(TextSourceTest, ALongStringIsGivenOutInPieces) {
  std::string text;
  while (text.size() < 300'000) text += "a€\xFF";
  const auto source = TextFromString(text);
  std::string read;
  while (true) {
    const std::string piece = source->Next().value();
    if (piece.empty()) break;
    EXPECT_LE(piece.size(), 65536u);
    EXPECT_NE(static_cast<unsigned char>(piece.front()) & 0xC0, 0x80);
    read += piece;
  }
  EXPECT_EQ(read, text);
}

// Pieces have 64 KB; each of the characters ends a different number of bytes behind the border.
TEST_F(TextSourceTest, NeverCutsACharacter) {
  for (const std::string character : {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    for (std::size_t before = 1; before < character.size(); ++before) {
      for (const std::size_t border : {65536, 131072}) {
        std::string text(border - before, 'x');
        text += character + "tail";
        const auto source = OpenTextFiles({Write("border.txt", text)});
        ASSERT_TRUE(source);
        std::string read;
        while (true) {
          const auto piece = (*source)->Next();
          ASSERT_TRUE(piece) << piece.error().ToString();
          if (piece->empty()) break;
          EXPECT_NE(static_cast<unsigned char>(piece->front()) & 0xC0, 0x80);
          read += *piece;
        }
        EXPECT_EQ(read, text);
      }
    }
  }
}

TEST_F(TextSourceTest, RefusesBinaryFilesByName) {
  for (const std::size_t place : {0, 70000}) {
    std::string text(80000, 'x');
    text[place] = '\0';
    const auto read = Read({Write("program.bin", text)});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(read.error().ToString(), AllOf(HasSubstr("program.bin"), HasSubstr("binary")));
  }
}

TEST_F(TextSourceTest, RefusesOtherEncodingsNamingTheByte) {
  for (const std::size_t place : {3, 65535, 65536, 100000}) {
    std::string text(120000, 'x');
    text[place] = '\xE9';  // "é" in Latin-1
    const auto read = Read({Write("latin1.txt", text)});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(read.error().ToString(),
                AllOf(HasSubstr("latin1.txt"), HasSubstr("at byte " + std::to_string(place)),
                      HasSubstr("UTF-8")));
  }
}

TEST_F(TextSourceTest, ARefusedByteIsCountedFromTheBeginningOfItsOwnFile) {
  const auto read = Read({Write("good", std::string(70000, 'x')), Write("bad", "abc\xFF")});
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().ToString(), AllOf(HasSubstr("bad"), HasSubstr("at byte 3")));
}

TEST_F(TextSourceTest, RefusesACharacterThatTheFileCutsOff) {
  const auto read = Read({Write("cut.txt", "abc\xE2\x82")});
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("at byte 3"));
}

TEST_F(TextSourceTest, RefusesAnEmptyText) {
  const auto one = Read({Write("empty.txt", "")});
  ASSERT_FALSE(one);
  EXPECT_EQ(one.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(one.error().ToString(), HasSubstr("empty"));
  EXPECT_FALSE(Read({folder_.File("empty.txt"), folder_.File("empty.txt")}));
  EXPECT_TRUE(Read({folder_.File("empty.txt"), Write("full.txt", "x")}));
  EXPECT_FALSE(OpenTextFiles({}));
}

TEST_F(TextSourceTest, RefusesDirectoriesAndMissingFilesBeforeAnythingIsRead) {
  const std::string good = Write("good.txt", "text");
  const auto directory = OpenTextFiles({good, folder_.path().string()});
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().ToString(),
              AllOf(HasSubstr(folder_.path().string()), HasSubstr("directory")));
  const auto missing = OpenTextFiles({good, folder_.File("none.txt")});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().ToString(), HasSubstr("none.txt"));
  EXPECT_FALSE(OpenTextFiles({"/dev/zero"}));
}

TEST_F(TextSourceTest, ReadsANamedPipe) {
  const std::string pipe = folder_.File("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string text(200000, 'y');
  std::thread writer([&] { std::ofstream(pipe) << text; });
  const auto read = Read({pipe});
  writer.join();
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(*read, text);
}

}  // namespace
}  // namespace ondine
