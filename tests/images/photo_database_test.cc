#include "images/photo_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/temp_dir.h"

namespace ondine::images {
namespace {

using ::ondine::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

const EncoderIdentity kEncoder{"clip A", "a", 3};

class PhotoDatabaseTest : public ::testing::Test {
 protected:
  PhotoDatabaseTest() : path_(folder_.File("x.db")) {}

  void ExpectError(ErrorCode code, const std::string& text) const {
    const auto to_read = PhotoDatabase::Open(path_);
    const auto to_index = PhotoDatabase::OpenToIndex(path_, kEncoder);
    for (const auto* database : {&to_read, &to_index}) {
      ASSERT_FALSE(*database) << "expected: " << text;
      EXPECT_EQ(database->error().code, code) << database->error().ToString();
      EXPECT_EQ(database->error().context, path_);
      EXPECT_THAT(database->error().message, HasSubstr(text));
    }
  }

  TempDir folder_;
  std::string path_;
};

TEST_F(PhotoDatabaseTest, WhatIsNoPhotoLibraryIsRefused) {
  EXPECT_EQ(PhotoDatabase::Open(path_).error().code, ErrorCode::kNotFound);
  std::ofstream(path_) << std::string(10'000, 'x');
  ExpectError(ErrorCode::kCorrupt, "is no photo library");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  ExpectError(ErrorCode::kIo, "is a directory");
}

TEST_F(PhotoDatabaseTest, AnotherProgramsDatabaseIsRefusedAndLeftAlone) {
  {
    const auto other = SqliteConnection::Open(path_, SqliteConnection::Mode::kCreate);
    ASSERT_TRUE(other);
    ASSERT_TRUE(other->Run("CREATE TABLE photos (x); INSERT INTO photos VALUES (1)"));
  }
  const auto before = std::filesystem::file_size(path_);
  ExpectError(ErrorCode::kUnsupported, "another program's database");
  EXPECT_EQ(std::filesystem::file_size(path_), before);
}

TEST_F(PhotoDatabaseTest, LaterVersionsAndMissingTablesAreRefused) {
  ASSERT_TRUE(PhotoDatabase::OpenToIndex(path_, kEncoder));
  const auto change = [&](const char* statement) {
    const auto connection = SqliteConnection::Open(path_, SqliteConnection::Mode::kCreate);
    ASSERT_TRUE(connection);
    ASSERT_TRUE(connection->Run(statement));
  };
  change("PRAGMA user_version = 2");
  ExpectError(ErrorCode::kUnsupported, "version 2");
  change("PRAGMA user_version = 1; DROP TABLE library");
  ExpectError(ErrorCode::kCorrupt, "no photo library that this version knows");
}

TEST_F(PhotoDatabaseTest, AnotherClipIsRefusedByName) {
  ASSERT_TRUE(PhotoDatabase::OpenToIndex(path_, kEncoder));
  const auto other = PhotoDatabase::OpenToIndex(path_, {"clip B", "b", 3});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kMismatch);
  EXPECT_THAT(other.error().message, AllOf(HasSubstr("'clip A'"), HasSubstr("'clip B'")));
  ASSERT_TRUE(PhotoDatabase::OpenToIndex(path_, {"another name of it", "a", 3}));
}

TEST_F(PhotoDatabaseTest, OneIndexerAtATimeAndReadersBesides) {
  {
    auto first = PhotoDatabase::OpenToIndex(path_, kEncoder);
    ASSERT_TRUE(first) << first.error().ToString();
    const auto second = PhotoDatabase::OpenToIndex(path_, kEncoder);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kIo);
    EXPECT_THAT(second.error().message, HasSubstr("another indexer is at work"));

    ASSERT_TRUE(first->Begin());
    const auto id = first->AddPicture({}, Picture(), std::vector<float>{1, 2, 3});
    ASSERT_TRUE(id) << id.error().ToString();
    ASSERT_TRUE(first->SetFile("/a.jpg", 1, 2, *id));
    const auto reader = PhotoDatabase::Open(path_);
    ASSERT_TRUE(reader) << reader.error().ToString();
    EXPECT_EQ(reader->CountVectors(), 0);
    const auto before = reader->ReadVersion();
    ASSERT_TRUE(first->Commit());
    EXPECT_EQ(reader->CountVectors(), 1);
    EXPECT_NE(reader->ReadVersion()->generation, before->generation);
    EXPECT_TRUE(first->Close());
  }
  EXPECT_TRUE(PhotoDatabase::OpenToIndex(path_, kEncoder));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".lock"));
}

// As a kill leaves it in the middle of a transaction: the pages before it, in a journal.
TEST_F(PhotoDatabaseTest, WhatAKilledIndexerLeftIsUndoneByWhoeverReads) {
  ASSERT_TRUE(PhotoDatabase::OpenToIndex(path_, kEncoder));
  const std::string copy = folder_.File("killed.db");
  {
    auto writer = SqliteConnection::Open(path_, SqliteConnection::Mode::kCreate);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(
        writer->Run("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; "
                    "PRAGMA cache_spill = 1; BEGIN IMMEDIATE"));
    ASSERT_TRUE(
        writer->Run("UPDATE library SET encoder_name = 'half done'; "
                    "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                    "SELECT i + 1 FROM n WHERE i < 2000) SELECT randomblob(100) FROM n"));
    ASSERT_TRUE(std::filesystem::exists(path_ + "-journal"));
    std::filesystem::copy_file(path_, copy);
    std::filesystem::copy_file(path_ + "-journal", copy + "-journal");
  }
  const auto library = PhotoDatabase::Open(copy);
  ASSERT_TRUE(library) << library.error().ToString();
  EXPECT_EQ(library->encoder().name, kEncoder.name);
}

TEST_F(PhotoDatabaseTest, VectorsThatAreNotOfLengthOneAreFoundByNothing) {
  auto database = PhotoDatabase::OpenToIndex(path_, kEncoder);
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->Begin());
  ASSERT_TRUE(database->AddPicture({}, {}, std::vector<float>{1e30f, 0, 0}));
  ASSERT_TRUE(database->Commit());
  ASSERT_TRUE(database->ReadVectors([](ContentId, std::span<const float> vector) {
    EXPECT_TRUE(std::isnan(vector[0]));
    return Status();
  }));
}

TEST_F(PhotoDatabaseTest, VectorsOfAnotherLengthAreDamage) {
  auto database = PhotoDatabase::OpenToIndex(path_, kEncoder);
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->Begin());
  ASSERT_TRUE(database->AddPicture({}, {}, std::vector<float>{1, 2}));
  ASSERT_TRUE(database->Commit());
  const Status status =
      database->ReadVectors([](ContentId, std::span<const float>) { return Status(); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ondine::images
