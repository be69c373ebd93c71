#include "train/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "train/tar_fixture.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;
using train::ReadTar;

Result<std::vector<train::TarMember>> Read(const std::string& archive) {
  return ReadTar(std::as_bytes(std::span(archive)), "archive.tar");
}

TEST(Tar, GivesEveryFile) {
  const std::string archive = TarMember("1.jpg", "first") + TarMember("empty", "") +
                              TarMember("2.jpg", std::string(600, 'x')) + std::string(1024, '\0');
  const auto members = Read(archive);
  ASSERT_TRUE(members) << members.error().ToString();
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ((*members)[0].name, "1.jpg");
  EXPECT_EQ(std::memcmp((*members)[0].bytes.data(), "first", 5), 0);
  EXPECT_EQ((*members)[0].bytes.size(), 5u);
  EXPECT_EQ((*members)[1].bytes.size(), 0u);
  EXPECT_EQ((*members)[2].bytes.size(), 600u);
  EXPECT_EQ(Read("")->size(), 0u);
}

TEST(Tar, WhatIsDamagedOrCutOffIsAnError) {
  const std::string whole =
      TarMember("1.jpg", std::string(600, 'x')) + TarMember("2.jpg", "second");
  const std::size_t second = whole.find("second");
  for (std::size_t length = 1; length < second + 6; length += 37) {
    const auto members = Read(whole.substr(0, length));
    EXPECT_LT(members.value_or(std::vector<train::TarMember>()).size(), 2u) << length;
  }
  EXPECT_EQ(Read(whole.substr(0, 700)).error().code, ErrorCode::kCorrupt);
  std::string other = whole;
  other[0] = '7';
  EXPECT_THAT(Read(other).error().ToString(), HasSubstr("archive.tar"));
  EXPECT_EQ(Read(TarMember("link", "", '2')).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Read(std::string(600, 'x')).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ondine::testing
