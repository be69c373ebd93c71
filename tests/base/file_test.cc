#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "base/temp_dir.h"

namespace ondine::base {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status WriteText(const std::string& path, std::string_view text) {
  return WriteFileAtomically(path, [&](FileSink& sink) { return sink.Write(Bytes(text)); });
}

class FileTest : public ::testing::Test {
 protected:
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir_.path())) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.File("file");
};

using MappedFileTest = FileTest;
using ReadFileTest = FileTest;
using WriteFileTest = FileTest;

TEST_F(MappedFileTest, ShowsTheContent) {
  ASSERT_TRUE(WriteText(path_, "some bytes"));
  auto file = MappedFile::Open(path_);
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_EQ(Text(file->bytes()), "some bytes");
}

TEST_F(MappedFileTest, MovesTheMapping) {
  ASSERT_TRUE(WriteText(path_, "first"));
  ASSERT_TRUE(WriteText(dir_.File("other"), "second"));
  MappedFile a = MappedFile::Open(path_).value();
  const std::byte* data = a.bytes().data();
  MappedFile b = std::move(a);
  EXPECT_EQ(b.bytes().data(), data);
  b = MappedFile::Open(dir_.File("other")).value();
  EXPECT_EQ(Text(b.bytes()), "second");
}

TEST_F(MappedFileTest, KeepsTheContentOfAReplacedFile) {
  ASSERT_TRUE(WriteText(path_, "first"));
  const MappedFile file = MappedFile::Open(path_).value();
  ASSERT_TRUE(WriteText(path_, "second"));
  EXPECT_EQ(Text(file.bytes()), "first");
}

TEST_F(MappedFileTest, ReleasesPagesThatComeBack) {
  std::string text(32 << 20, 'x');
  text[20 << 20] = 'y';
  ASSERT_TRUE(WriteText(path_, text));
  const MappedFile file = MappedFile::Open(path_).value();
  EXPECT_EQ(Text(file.bytes()), text);
  const std::uint64_t touched = ResidentBytes();
  file.Release(file.bytes().subspan(12345, 30 << 20));
  EXPECT_LT(ResidentBytes() + (25 << 20), touched);
  EXPECT_EQ(Text(file.bytes()), text);
  MappedFile().Release({});
}

TEST_F(MappedFileTest, SaysWhatCannotBeMapped) {
  EXPECT_EQ(MappedFile::Open(path_).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(MappedFile::Open(path_).error().context, path_);
  EXPECT_EQ(MappedFile::Open("").error().code, ErrorCode::kNotFound);

  const auto directory = MappedFile::Open(dir_.path().string());
  EXPECT_EQ(directory.error().code, ErrorCode::kIo);
  EXPECT_THAT(directory.error().message, HasSubstr("directory"));

  EXPECT_EQ(MappedFile::Open("/dev/zero").error().code, ErrorCode::kInvalidArgument);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::Open(path_).error().code, ErrorCode::kInvalidArgument);

  std::ofstream(dir_.File("empty")).close();
  EXPECT_EQ(MappedFile::Open(dir_.File("empty")).error().code, ErrorCode::kCorrupt);
}

TEST_F(ReadFileTest, ReadsAllOfItWhateverTheSize) {
  for (const std::size_t size : {0u, 1u, 65536u, 1u << 20, 3000001u}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 97) text[i] = static_cast<char>(i);
    ASSERT_TRUE(WriteText(path_, text));
    EXPECT_EQ(ReadFile(path_).value(), text) << size;
  }
}

TEST_F(ReadFileTest, ReadsPipes) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const std::string text(200000, 'p');
  std::thread writer([&] { std::ofstream(path_) << text; });
  const auto read = ReadFile(path_);
  writer.join();
  EXPECT_EQ(read.value(), text);
}

TEST_F(ReadFileTest, ReadsStandardInput) {
  ASSERT_TRUE(WriteText(path_, "from standard input"));
  const int saved = dup(STDIN_FILENO);
  ASSERT_NE(freopen(path_.c_str(), "r", stdin), nullptr);
  const auto read = ReadFile("-");
  dup2(saved, STDIN_FILENO);
  close(saved);
  EXPECT_EQ(read.value(), "from standard input");
}

TEST_F(ReadFileTest, SaysWhatCannotBeRead) {
  EXPECT_EQ(ReadFile(path_).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(ReadFile(dir_.path().string()).error().message, HasSubstr("directory"));
  EXPECT_EQ(ReadFile("/dev/zero").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(WriteFileTest, WritesSmallAndLargePiecesInOrder) {
  std::string expected;
  ASSERT_TRUE(WriteFileAtomically(path_, [&](FileSink& sink) -> Status {
    for (const std::size_t size : {3u, 0u, 2000000u, 5u, 700000u, 700000u, 1u}) {
      const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
      if (auto status = sink.Write(Bytes(piece)); !status) return status;
      expected += piece;
    }
    return {};
  }));
  EXPECT_EQ(ReadFile(path_).value(), expected);
  EXPECT_EQ(Names().size(), 1u);
}

TEST_F(WriteFileTest, ReplacesAFileAndKeepsItsPermissions) {
  ASSERT_TRUE(WriteText(path_, "old"));
  ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
  ASSERT_TRUE(WriteText(path_, "new"));
  EXPECT_EQ(ReadFile(path_).value(), "new");
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(WriteFileTest, WritesThroughALink) {
  ASSERT_TRUE(WriteText(path_, "old"));
  fs::create_symlink("file", dir_.File("link"));
  ASSERT_TRUE(WriteText(dir_.File("link"), "new"));
  EXPECT_TRUE(fs::is_symlink(dir_.File("link")));
  EXPECT_EQ(ReadFile(path_).value(), "new");
}

// Who put it there may not choose where others write.
TEST_F(WriteFileTest, ReplacesALinkToNothing) {
  fs::create_symlink("nothing", dir_.File("link"));
  ASSERT_TRUE(WriteText(dir_.File("link"), "new"));
  EXPECT_FALSE(fs::is_symlink(dir_.File("link")));
  EXPECT_EQ(ReadFile(dir_.File("link")).value(), "new");
  EXPECT_FALSE(fs::exists(dir_.File("nothing")));
}

TEST_F(WriteFileTest, WritesToTheCurrentDirectoryAndToLongNames) {
  const std::string longest(255, 'n');
  EXPECT_TRUE(WriteText(dir_.File(longest), "x"));
  const fs::path here = fs::current_path();
  fs::current_path(dir_.path());
  const Status status = WriteText("relative", "x");
  fs::current_path(here);
  EXPECT_TRUE(status);
  EXPECT_TRUE(fs::exists(dir_.File("relative")));
}

TEST_F(WriteFileTest, RefusesWhatIsNoRegularFile) {
  const Status device = WriteText("/dev/full", "x");
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, ErrorCode::kIo);
  EXPECT_THAT(device.error().ToString(), HasSubstr("/dev/full: is not a regular file"));

  const Status directory = WriteText(dir_.path().string(), "x");
  EXPECT_EQ(directory.error().code, ErrorCode::kIo);
  EXPECT_THAT(directory.error().message, HasSubstr("is a directory"));

  const Status missing = WriteText(dir_.File("no/such/file"), "x");
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr(dir_.File("no/such")));
}

TEST_F(WriteFileTest, CanBeCheckedBefore) {
  EXPECT_TRUE(CheckWritable(path_));
  EXPECT_TRUE(Names().empty());
  ASSERT_TRUE(WriteText(path_, "old"));
  EXPECT_TRUE(CheckWritable(path_));
  EXPECT_EQ(ReadFile(path_).value(), "old");
  EXPECT_EQ(CheckWritable(dir_.path().string()).error().code, ErrorCode::kIo);
  EXPECT_EQ(CheckWritable(dir_.File("no/such/file")).error().code, ErrorCode::kNotFound);
}

TEST_F(WriteFileTest, TwoSpellingsOfOnePathAreOneFile) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  EXPECT_FALSE(CheckDistinct({"new", "./new"}));
  EXPECT_FALSE(CheckDistinct({"new", dir_.File("new")}));
  EXPECT_FALSE(CheckDistinct({"no/such/../new", "no/new"}));
  EXPECT_TRUE(CheckDistinct({"new", "newer", ""}));
  std::filesystem::current_path(before);
}

TEST_F(WriteFileTest, NobodyReadsMoreOfWhatReplacesAPrivateFile) {
  ASSERT_TRUE(WriteText(path_, "old"));
  ASSERT_EQ(chmod(path_.c_str(), 0600), 0);
  ASSERT_TRUE(WriteFileAtomically(path_, [&](FileSink& sink) {
    for (const std::string& name : Names()) {
      struct stat info;
      EXPECT_EQ(stat(dir_.File(name).c_str(), &info), 0);
      EXPECT_EQ(info.st_mode & 077, 0u) << name;
    }
    return sink.Write(std::as_bytes(std::span("new")));
  }));
}

TEST_F(WriteFileTest, LeavesTheOldFileIfTheContentFails) {
  ASSERT_TRUE(WriteText(path_, "old"));
  const Status status = WriteFileAtomically(path_, [](FileSink& sink) -> Status {
    if (auto written = sink.Write(Bytes(std::string(3000000, 'x'))); !written) return written;
    return MakeError(ErrorCode::kCancelled, "stopped");
  });
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(ReadFile(path_).value(), "old");
  EXPECT_EQ(Names().size(), 1u);
}

// Lets files grow to `bytes` only, which a write() past it meets as it would meet a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &saved_);
    const struct rlimit limit = {bytes, saved_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &saved_);
    signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  struct rlimit saved_;
};

TEST_F(WriteFileTest, LeavesTheOldFileIfTheDiskIsFull) {
  ASSERT_TRUE(WriteText(path_, "old"));
  // Sizes that fail in the buffered write at the end and in a direct write in the middle.
  for (const std::size_t size : {200000u, 5000000u}) {
    Status status;
    {
      const FileSizeLimit limit(100000);
      status = WriteText(path_, std::string(size, 'x'));
    }
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kIo);
    EXPECT_EQ(status.error().context, path_);
    EXPECT_THAT(status.error().message, HasSubstr("cannot write: File too large"));
    EXPECT_EQ(ReadFile(path_).value(), "old");
    EXPECT_EQ(Names().size(), 1u);
  }
}

TEST_F(WriteFileTest, WritersOfOneFileDoNotMix) {
  std::vector<std::thread> writers;
  for (const char c : {'a', 'b', 'c', 'd'}) {
    writers.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(WriteText(path_, std::string(100000, c)));
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string text = ReadFile(path_).value();
  EXPECT_EQ(text, std::string(100000, text.at(0)));
  EXPECT_EQ(Names().size(), 1u);
}

}  // namespace
}  // namespace ondine::base
