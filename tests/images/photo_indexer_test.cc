#include "images/photo_indexer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "images/photo_folder.h"

namespace ondine::images {
namespace {

namespace fs = std::filesystem;
using ::ondine::testing::PhotoFolder;
using ::ondine::testing::PlainPicture;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const std::vector<int> kRed = {200, 10, 10}, kGreen = {10, 200, 10}, kBlue = {10, 10, 200};

TEST(PhotoIndexer, PhotosOfAllFoldersAreFound) {
  PhotoFolder folder;
  folder.Add("red.png", kRed);
  folder.Add("a/b/green.PNG", kGreen);
  folder.Add("blue.jpeg", kBlue);
  folder.Add(".hidden/x.png", {1, 1, 1});
  folder.Add("a/.x.png", {1, 1, 1});
  folder.Write("notes.txt", "hello");
  fs::create_directory_symlink(folder.Path(""), folder.Path("a/loop"));
  const auto report = folder.Index();
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->added, 3);
  EXPECT_EQ(report->Photos(), 3);
  EXPECT_THAT(report->broken, IsEmpty());
  EXPECT_EQ(folder.encoder.encoded, 3);
  EXPECT_THAT(folder.Search({0, 1, 0}, {.top = 1}), ElementsAre("a/b/green.PNG"));
  EXPECT_THAT(folder.Search({0, 0, 1}, {.top = 1}), ElementsAre("blue.jpeg"));
  EXPECT_THAT(folder.All(), SizeIs(3));
}

TEST(PhotoIndexer, SecondRunReadsNothing) {
  PhotoFolder folder;
  folder.AddMany(50);
  ASSERT_TRUE(folder.Index());
  const auto written = fs::last_write_time(folder.Database() + ".vectors");
  const auto report = folder.Index();
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->unchanged, 50);
  EXPECT_EQ(report->Photos(), 50);
  EXPECT_EQ(folder.encoder.encoded, 0);
  EXPECT_EQ(fs::last_write_time(folder.Database() + ".vectors"), written);
}

TEST(PhotoIndexer, MovedCopiedChangedAndRemovedAreFollowed) {
  PhotoFolder folder;
  folder.Add("moved.png", kRed);
  folder.Add("copied.png", kGreen);
  folder.Add("changed.png", kBlue);
  folder.Add("removed.png", {100, 100, 0});
  folder.Add("touched.png", {100, 0, 100});
  ASSERT_TRUE(folder.Index());

  fs::create_directory(folder.Path("new"));
  fs::rename(folder.Path("moved.png"), folder.Path("new/moved.png"));
  fs::copy(folder.Path("copied.png"), folder.Path("copy.png"));
  folder.Add("changed.png", {7, 7, 7});
  fs::remove(folder.Path("removed.png"));
  fs::last_write_time(folder.Path("touched.png"), fs::file_time_type::clock::now());
  const auto report = folder.Index();
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->moved, 1);
  EXPECT_EQ(report->copied, 1);
  EXPECT_EQ(report->changed, 1);
  EXPECT_EQ(report->removed, 1);
  EXPECT_EQ(report->unchanged, 2);
  EXPECT_EQ(report->added, 0);
  EXPECT_EQ(folder.encoder.encoded, 1);
  EXPECT_THAT(folder.All(), UnorderedElementsAre("new/moved.png", "copied.png", "copy.png",
                                                 "changed.png", "touched.png"));
}

TEST(PhotoIndexer, CopiesAreEncodedOnceAndFoundByPath) {
  PhotoFolder folder;
  for (const char* name : {"c.png", "a.png", "b/x.png", "b.png"}) folder.Add(name, kRed);
  const auto report = folder.Index();
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->added + report->copied, 4);
  EXPECT_THAT(folder.All(), ElementsAre("a.png", "b.png", "b/x.png", "c.png"));
  EXPECT_THAT(folder.Search({1, 0, 0}, {.top = 2}), ElementsAre("a.png", "b.png"));
}

TEST(PhotoIndexer, BrokenFilesAreReportedAndNotReadAgain) {
  PhotoFolder folder;
  folder.Add("good.png", kRed);
  folder.Write("empty.jpg", "");
  folder.Write("text.jpg", "hello");
  folder.Write("cut.png", PlainPicture(300, 300, kRed).substr(0, 100));
  for (int run = 0; run < 2; ++run) {
    const auto report = folder.Index();
    ASSERT_TRUE(report) << report.error().ToString();
    EXPECT_EQ(report->Photos(), 1);
    ASSERT_THAT(report->broken, SizeIs(3));
    for (const Error& error : report->broken) {
      EXPECT_THAT(error.context, ::testing::EndsWith("g"));
      EXPECT_THAT(error.message, ::testing::Not(IsEmpty()));
    }
    EXPECT_THAT(folder.All(), ElementsAre("good.png"));
  }
  folder.Add("cut.png", kBlue);
  const auto report = folder.Index();
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->changed, 1);
  EXPECT_THAT(report->broken, SizeIs(2));
}

TEST(PhotoIndexer, NamesMayHoldAnything) {
  PhotoFolder folder;
  const std::vector<std::string> names = {"Ünïcode ☂.png", "it's \"quoted\".png", "two\nlines.png",
                                          "100%_x.png",    "not\xFFutf8.png",     "a;b--c.png"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    folder.Add(names[i], {static_cast<int>(i) * 9, 100, 100});
  }
  ASSERT_TRUE(folder.Index());
  EXPECT_THAT(folder.All(), ::testing::UnorderedElementsAreArray(names));
  EXPECT_EQ(folder.Index()->unchanged, 6);
}

TEST(PhotoIndexer, OtherFoldersStay) {
  PhotoFolder folder;
  folder.Add("one/a.png", kRed);
  folder.Add("one two/b.png", kGreen);
  const IndexOptions options;
  const auto index = [&](const std::string& name) {
    return IndexPhotos(folder.Database(), folder.Path(name), folder.encoder, options);
  };
  ASSERT_TRUE(index("one"));
  ASSERT_TRUE(index("one two"));
  folder.Add("one/c.png", kBlue);
  fs::remove(folder.Path("one/a.png"));
  const auto report = index("one");
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->removed, 1);
  EXPECT_THAT(folder.All(), UnorderedElementsAre("one/c.png", "one two/b.png"));
}

TEST(PhotoIndexer, NoFolderOrNoPhotoInItIsAnError) {
  PhotoFolder folder;
  EXPECT_EQ(folder.Index().error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(folder.Database()));
  EXPECT_EQ(IndexPhotos(folder.Database(), folder.Path("none"), folder.encoder, {}).error().code,
            ErrorCode::kNotFound);
  folder.Add("a.png", kRed);
  EXPECT_EQ(IndexPhotos(folder.Database(), folder.Path("a.png"), folder.encoder, {}).error().code,
            ErrorCode::kNotFound);
}

TEST(PhotoIndexer, StoppedItGoesOnWhereItWas) {
  PhotoFolder folder;
  folder.AddMany(200);
  IndexOptions options{.threads = 2};
  std::int64_t done = 0;
  options.progress = [&](const IndexProgress& progress) {
    EXPECT_EQ(progress.total, 200);
    EXPECT_GE(progress.done, done);
    done = progress.done;
  };
  folder.encoder.after = [&]() -> Status {
    if (folder.encoder.encoded == 64) options.stop.Stop();
    return {};
  };
  const auto stopped = folder.Index(options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  // One file that can be read where nothing can be written: byte 18 tells of a write-ahead log.
  EXPECT_FALSE(fs::exists(folder.Database() + "-wal"));
  std::ifstream database(folder.Database(), std::ios::binary);
  database.seekg(18);
  EXPECT_EQ(database.get(), 1);
  folder.encoder.after = nullptr;
  options.stop = {};
  const auto report = folder.Index(options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->unchanged, 64);
  EXPECT_EQ(report->added, 136);
  EXPECT_EQ(folder.encoder.encoded, 136);
  EXPECT_EQ(done, 200);
  EXPECT_THAT(folder.All(), SizeIs(200));
}

TEST(PhotoIndexer, EncodersErrorEndsItAndKeepsWhatWasDone) {
  PhotoFolder folder;
  folder.AddMany(100);
  folder.encoder.after = [&]() -> Status {
    if (folder.encoder.encoded < 64) return {};
    return MakeError(ErrorCode::kOutOfMemory, "no memory", "fake");
  };
  EXPECT_EQ(folder.Index().error().code, ErrorCode::kOutOfMemory);
  folder.encoder.after = nullptr;
  EXPECT_EQ(folder.Index()->unchanged, 32);
}

// The exit code of `child` in a process of its own, or the negative signal that ended it.
int RunChild(const std::function<int()>& child) {
  const pid_t pid = fork();
  if (pid == 0) _exit(child());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// libvips' threads do not survive a fork: whatever uses it runs in a child, and the parent is a new
// process, which this style of GoogleTest's death tests begins in.
class PhotoIndexerDeathTest : public ::testing::Test {
 protected:
  PhotoIndexerDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(PhotoIndexerDeathTest, KilledAtAnyMomentItGoesOn) {
  const auto story = [] {
    for (const int batches : {1, 2, 4}) {
      PhotoFolder folder;
      const int killed = RunChild([&] {
        folder.AddMany(200);
        folder.encoder.after = [&, left = batches]() mutable -> Status {
          // Longer than between two commits, so that something is kept.
          if (left-- == 1) kill(getpid(), SIGKILL);
          usleep(2'100'000);
          return {};
        };
        (void)folder.Index();
        return 0;
      });
      if (killed != -SIGKILL) return 1;
      const int finished = RunChild([&] {
        if (batches > 1 && folder.All().size() < 32) return 2;  // before anybody repairs it
        const auto report = folder.Index();
        if (!report || report->Photos() != 200) return 3;
        if (report->unchanged < 32 * (batches - 1)) return 4;
        return folder.All().size() == 200 ? 0 : 5;
      });
      if (finished != 0) return finished;
    }
    return 0;
  };
  EXPECT_EXIT(_exit(story()), ::testing::ExitedWithCode(0), "");
}

TEST_F(PhotoIndexerDeathTest, FullDiskIsAnErrorAndLosesNothing) {
  const auto story = [] {
    PhotoFolder folder;
    const int prepared = RunChild([&] {
      folder.AddMany(40);
      if (!folder.Index()) return 1;
      folder.AddMany(1000);
      return 0;
    });
    if (prepared != 0) return prepared;
    const int full = RunChild([&] {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{50'000, 50'000};  // bytes a file
      setrlimit(RLIMIT_FSIZE, &limit);
      const auto report = folder.Index();
      return !report && report.error().code == ErrorCode::kIo ? 0 : 2;
    });
    if (full != 0) return full;
    return RunChild([&] {
      if (folder.All().size() < 40) return 3;
      if (!folder.Index()) return 4;
      return folder.All().size() == 1000 ? 0 : 5;
    });
  };
  EXPECT_EXIT(_exit(story()), ::testing::ExitedWithCode(0), "");
}

TEST_F(PhotoIndexerDeathTest, ReadOnlyIsAnErrorToIndexButCanBeSearched) {
  const auto story = [] {
    PhotoFolder folder;
    const int prepared = RunChild([&] {
      folder.AddMany(10);
      return folder.Index() ? 0 : 1;
    });
    if (prepared != 0) return prepared;
    fs::remove(folder.Database() + ".vectors");
    const fs::path parent = fs::path(folder.Database()).parent_path();
    chmod(parent.c_str(), 0555);
    chmod(folder.Database().c_str(), 0444);
    const int result = RunChild([&] {
      if (geteuid() == 0 && setuid(65534) != 0) return 2;
      const auto report = folder.Index();
      if (report || report.error().code != ErrorCode::kIo) return 3;
      return folder.All().size() == 10 ? 0 : 4;
    });
    chmod(parent.c_str(), 0755);
    return result;
  };
  EXPECT_EXIT(_exit(story()), ::testing::ExitedWithCode(0), "");
}

TEST_F(PhotoIndexerDeathTest, FoldersThatMayBeListedAndNotEnteredKeepWhatWasKnown) {
  const auto story = [] {
    PhotoFolder folder;
    const int prepared = RunChild([&] {
      folder.Add("open/a.png", kRed);
      folder.Add("listed/b.png", kBlue);
      return folder.Index() ? 0 : 1;
    });
    if (prepared != 0) return prepared;
    chmod(fs::path(folder.Database()).parent_path().c_str(), 0777);
    chmod(folder.Database().c_str(), 0666);
    chmod(folder.Path("listed").c_str(), 0444);
    const int result = RunChild([&] {
      if (geteuid() == 0 && setuid(65534) != 0) return 2;
      const auto report = folder.Index();
      if (!report) return 3;
      if (report->unreadable_folders.size() != 1 || report->removed != 0) return 4;
      return folder.All().size() == 2 ? 0 : 5;
    });
    chmod(folder.Path("listed").c_str(), 0755);
    return result;
  };
  EXPECT_EXIT(_exit(story()), ::testing::ExitedWithCode(0), "");
}

TEST_F(PhotoIndexerDeathTest, UnreadableFoldersKeepWhatWasKnown) {
  const auto story = [] {
    PhotoFolder folder;
    const int prepared = RunChild([&] {
      folder.Add("open/a.png", kRed);
      folder.Add("closed/b.png", kBlue);
      folder.Add("open/c.png", kGreen);
      return folder.Index() ? 0 : 1;
    });
    if (prepared != 0) return prepared;
    const fs::path parent = fs::path(folder.Database()).parent_path();
    chmod(parent.c_str(), 0777);
    chmod(folder.Database().c_str(), 0666);
    chmod(folder.Path("closed").c_str(), 0);
    chmod(folder.Path("open/c.png").c_str(), 0);
    fs::last_write_time(folder.Path("open/c.png"), fs::file_time_type::clock::now());
    const int result = RunChild([&] {
      if (geteuid() == 0 && setuid(65534) != 0) return 2;
      const auto report = folder.Index();
      if (!report) return 3;
      if (report->unreadable_folders.size() != 1 || report->removed != 0) return 4;
      if (report->broken.size() != 1 || report->broken[0].code != ErrorCode::kIo) return 5;
      return folder.All().size() == 2 ? 0 : 6;
    });
    chmod(folder.Path("closed").c_str(), 0755);
    return result;
  };
  EXPECT_EXIT(_exit(story()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace ondine::images
