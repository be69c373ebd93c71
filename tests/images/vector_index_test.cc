#include "images/vector_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "base/temp_dir.h"

namespace ondine::images {
namespace {

using ::ondine::testing::TempDir;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class VectorIndexTest : public ::testing::Test {
 protected:
  // Vectors of length one around `centres` points; every tenth has an equal before it.
  PhotoDatabase Make(int count, int length, int centres) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    auto database = PhotoDatabase::OpenToIndex(path_, {"fake", "1", length}).value();
    std::vector<std::vector<float>> middles(static_cast<std::size_t>(centres));
    for (auto& middle : middles) {
      for (int i = 0; i < length; ++i) middle.push_back(normal(random));
    }
    EXPECT_TRUE(database.Begin());
    for (int n = 0; n < count; ++n) {
      if (n % 10 != 9) {
        vector_ = middles[static_cast<std::size_t>(n) % middles.size()];
        float sum = 0;
        for (float& value : vector_) {
          value += 0.5f * normal(random);
          sum += value * value;
        }
        for (float& value : vector_) value /= std::sqrt(sum);
      }
      ContentHash hash{};
      std::memcpy(hash.data(), &n, sizeof(n));
      const auto id = database.AddPicture(hash, {}, vector_);
      EXPECT_TRUE(id);
      vectors_.emplace_back(*id, vector_);
    }
    EXPECT_TRUE(database.Commit());
    return database;
  }

  std::vector<ContentId> Best(const std::vector<float>& query, std::size_t count,
                              const std::set<ContentId>* allowed = nullptr) const {
    std::vector<std::pair<float, ContentId>> scores;
    for (const auto& [id, vector] : vectors_) {
      if (allowed != nullptr && !allowed->contains(id)) continue;
      double score = 0;
      for (std::size_t i = 0; i < query.size(); ++i) score += double{query[i]} * vector[i];
      scores.emplace_back(-static_cast<float>(score), id);
    }
    std::ranges::sort(scores);
    std::vector<ContentId> ids;
    for (std::size_t i = 0; i < std::min(count, scores.size()); ++i)
      ids.push_back(scores[i].second);
    return ids;
  }

  static std::vector<ContentId> Ids(const std::vector<VectorIndex::Hit>& hits) {
    std::vector<ContentId> ids;
    for (const auto& hit : hits) ids.push_back(hit.id);
    return ids;
  }

  TempDir folder_;
  std::string path_ = folder_.File("x.db");
  std::vector<float> vector_;
  std::vector<std::pair<ContentId, std::vector<float>>> vectors_;
};

TEST_F(VectorIndexTest, FindsTheBestOfAllAndOfSome) {
  const PhotoDatabase database = Make(20'000, 7, 50);
  for (const int threads : {1, 3}) {
    const auto index = VectorIndex::Open(database, threads);
    ASSERT_TRUE(index) << index.error().ToString();
    EXPECT_EQ(index->size(), 20'000u);
    const std::vector<float>& query = vectors_[123].second;
    const auto hits = index->Search(query, 10, std::nullopt);
    ASSERT_THAT(hits, SizeIs(10));
    EXPECT_EQ(hits[0].id, vectors_[123].first);
    EXPECT_NEAR(hits[0].score, 1, 1e-5);
    for (std::size_t i = 1; i < hits.size(); ++i) {
      EXPECT_TRUE(hits[i - 1].score > hits[i].score ||
                  (hits[i - 1].score == hits[i].score && hits[i - 1].id < hits[i].id));
    }
    std::set<ContentId> some;
    for (int i = 0; i < 300; ++i) some.insert(vectors_[static_cast<std::size_t>(i * 7)].first);
    const std::vector<ContentId> allowed(some.begin(), some.end());
    EXPECT_EQ(Ids(index->Search(query, 5, allowed)), Best(query, 5, &some));
    EXPECT_THAT(index->Search(query, 500, allowed), SizeIs(300));
    EXPECT_THAT(index->Search(query, 5, std::vector<ContentId>()), IsEmpty());
    EXPECT_THAT(index->Search(query, 0, std::nullopt), IsEmpty());
  }
}

TEST_F(VectorIndexTest, NoVectorsAreFoundInNone) {
  const PhotoDatabase database = Make(0, 7, 1);
  const auto index = VectorIndex::Open(database, 1);
  ASSERT_TRUE(index) << index.error().ToString();
  EXPECT_THAT(index->Search(std::vector<float>(7), 3, std::nullopt), IsEmpty());
}

TEST_F(VectorIndexTest, DamagedStaleAndForeignFilesAreMadeAgain) {
  PhotoDatabase database = Make(100, 5, 9);
  const std::string file = path_ + ".vectors";
  ASSERT_TRUE(VectorIndex::Open(database, 1));
  const auto read = [&] {
    std::ifstream stream(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  const std::string whole = read();
  const auto expect_rebuilt = [&](const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    const auto index = VectorIndex::Open(database, 1);
    ASSERT_TRUE(index) << index.error().ToString();
    EXPECT_EQ(Ids(index->Search(vectors_[3].second, 1, std::nullopt)).front(), vectors_[3].first);
    EXPECT_EQ(read(), whole);
  };
  for (std::size_t at = 0; at < whole.size(); at += 13) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    expect_rebuilt(damaged);
  }
  for (const std::size_t size : {0, 1, 63, 64, 71, 72, 500}) expect_rebuilt(whole.substr(0, size));
  expect_rebuilt(whole + "x");

  ASSERT_TRUE(database.Begin());
  ASSERT_TRUE(database.AddPicture({std::byte{9}, std::byte{9}, std::byte{9}, std::byte{9}}, {},
                                  std::vector<float>(5, 100.0f)));
  ASSERT_TRUE(database.Commit());
  const auto index = VectorIndex::Open(database, 1);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->size(), 101u);
  EXPECT_NE(read(), whole);
}

TEST_F(VectorIndexTest, WithoutRoomForItsFileItWorksInMemory) {
  const PhotoDatabase database = Make(100, 5, 9);
  std::filesystem::create_directory(path_ + ".vectors");
  const auto index = VectorIndex::Open(database, 1);
  ASSERT_TRUE(index) << index.error().ToString();
  EXPECT_EQ(Ids(index->Search(vectors_[3].second, 1, std::nullopt)).front(), vectors_[3].first);
}

TEST_F(VectorIndexTest, ManyVectorsAreSearchedInLists) {
  PhotoDatabase database = Make(static_cast<int>(kExactUpTo) + 1, 8, 1000);
  // A damaged one disturbs no other.
  ContentHash hash;
  hash.fill(std::byte{0xff});
  ASSERT_TRUE(database.Begin());
  const auto damaged = database.AddPicture(hash, {}, std::vector<float>(8, 3.0f));
  ASSERT_TRUE(damaged);
  ASSERT_TRUE(database.Commit());
  const auto index = VectorIndex::Open(database, 2);
  ASSERT_TRUE(index) << index.error().ToString();
  int found = 0;
  for (std::size_t query = 0; query < 50; ++query) {
    const std::vector<float>& vector = vectors_[query * 3989].second;
    const auto ids = Ids(index->Search(vector, 10, std::nullopt));
    EXPECT_EQ(std::ranges::count(ids, *damaged), 0);
    for (const ContentId id : Best(vector, 10)) {
      found += static_cast<int>(std::ranges::count(ids, id));
    }
  }
  EXPECT_GT(found, 475);  // of 500
  std::set<ContentId> some;
  for (std::size_t i = 0; i < 1000; ++i) some.insert(vectors_[i * 150].first);
  const std::vector<ContentId> allowed(some.begin(), some.end());
  EXPECT_EQ(Ids(index->Search(vectors_[5].second, 10, allowed)),
            Best(vectors_[5].second, 10, &some));
}

}  // namespace
}  // namespace ondine::images
