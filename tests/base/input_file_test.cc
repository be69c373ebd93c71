#include "base/input_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "base/temp_dir.h"

namespace ondine::base {
namespace {

std::string ReadInPieces(InputFile& file) {
  std::string text;
  std::array<std::byte, 7> piece;
  while (true) {
    const std::size_t got = file.Read(piece).value();
    if (got == 0) return text;
    text.append(reinterpret_cast<const char*>(piece.data()), got);
  }
}

TEST(InputFile, ReadsAFilePieceByPiece) {
  const testing::TempDir dir;
  std::ofstream(dir.File("text")) << "a text of several pieces";
  InputFile opened = InputFile::Open(dir.File("text")).value();
  InputFile file;
  EXPECT_FALSE(file.is_open());
  file = std::move(opened);
  EXPECT_TRUE(file.is_open());
  EXPECT_EQ(ReadInPieces(file), "a text of several pieces");
}

TEST(InputFile, ReadsAPipeToItsEnd) {
  const testing::TempDir dir;
  ASSERT_EQ(mkfifo(dir.File("pipe").c_str(), 0600), 0);
  const std::string text(100000, 'p');
  std::thread writer([&] { std::ofstream(dir.File("pipe")) << text; });
  auto file = InputFile::Open(dir.File("pipe"));
  const std::string read = ReadInPieces(*file);
  writer.join();
  EXPECT_EQ(read, text);
}

TEST(InputFile, RefusesWhatCannotBeRead) {
  const testing::TempDir dir;
  EXPECT_EQ(InputFile::Open(dir.File("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(InputFile::Open(dir.File("none")).error().context, dir.File("none"));
  EXPECT_EQ(InputFile::Open(dir.path().string()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(InputFile::Open("/dev/zero").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ondine::base
