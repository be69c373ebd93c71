#include "base/input_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
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
  EXPECT_EQ(InputFile::Open(dir.File("none/such")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(InputFile::Open(dir.path().string()).error().code, ErrorCode::kIo);
  EXPECT_EQ(InputFile::Open("/dev/zero").error().code, ErrorCode::kInvalidArgument);
}

// A signal that ends the waiting itself, as Ctrl-C does: whenever it comes, nothing waits on.
TEST(InputFile, ASignalThatStopsFreesWhoeverWaits) {
  static StopToken stop;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  auto file = InputFile::Open("/proc/self/fd/" + std::to_string(ends[0]));
  ASSERT_TRUE(file);
  const auto before = std::signal(SIGALRM, [](int) { stop.Stop(); });
  const itimerval soon = {{0, 0}, {0, 10'000}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &soon, nullptr), 0);
  std::array<std::byte, 8> buffer;
  const auto got = file->Read(buffer, stop);
  std::signal(SIGALRM, before);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kCancelled);
  close(ends[0]);
  close(ends[1]);
}

TEST(InputFile, APipeThatNobodyWritesToCanBeStopped) {
  const testing::TempDir dir;
  ASSERT_EQ(mkfifo(dir.File("pipe").c_str(), 0600), 0);
  auto file = InputFile::Open(dir.File("pipe"));
  ASSERT_TRUE(file);
  StopToken stop;
  std::thread stopping([&] { stop.Stop(); });
  std::array<std::byte, 8> buffer;
  const auto got = file->Read(buffer, stop);
  stopping.join();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace ondine::base
