#include "adapters/pool_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>

#include "adapters/adapter_fixture.h"

namespace ondine::adapters {
namespace {

using namespace ::ondine::testing;

class PoolFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel({}, folder_.File("tiny.gguf")));
    pool_ = RandomPool(*LoadDecoder(folder_.File("tiny.gguf")), 3, 2);
    ASSERT_TRUE(WritePool(pool_, path_));
  }

  static Result<Pool> Read(const std::string& path) {
    const auto file = formats::GgufFile::Open(path);
    if (!file) return tl::make_unexpected(file.error());
    compute::ThreadPool pool(1);
    return ReadPool(*file, pool);
  }

  ErrorCode CodeAfter(const std::function<void(GgufParts&)>& change) const {
    GgufParts parts = GgufParts::Read(path_);
    change(parts);
    parts.Write(folder_.File("bad.gguf"));
    const auto pool = Read(folder_.File("bad.gguf"));
    EXPECT_FALSE(pool);
    return pool ? ErrorCode::kInternal : pool.error().code;
  }

  TempDir folder_;
  std::string path_ = folder_.File("pool.gguf");
  Pool pool_;
};

TEST_F(PoolFileTest, WhatIsWrittenIsRead) {
  const auto read = Read(path_);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->base_fingerprint, pool_.base_fingerprint);
  EXPECT_EQ(read->base_name, pool_.base_name);
  EXPECT_EQ(read->provenance, pool_.provenance);
  EXPECT_EQ(read->form, pool_.form);
  EXPECT_EQ(read->alpha, pool_.alpha);
  EXPECT_NEAR(read->temperature, pool_.temperature, 1e-8);
  EXPECT_EQ(read->tasks.mean, pool_.tasks.mean);
  EXPECT_EQ(read->tasks.indicators, pool_.tasks.indicators);
  ASSERT_EQ(read->matrices.size(), pool_.matrices.size());
  for (const auto& [tensor, all] : pool_.matrices) {
    for (std::size_t n = 0; n < all.size(); ++n) {
      const LowRankFactors& one = read->matrices.at(tensor)[n];
      // 11 bits of numbers below 0.3.
      EXPECT_LT(LargestDifference(one.a, all[n].a), 2e-4f);
      EXPECT_LT(LargestDifference(one.b, all[n].b), 2e-4f);
    }
  }
}

TEST_F(PoolFileTest, OtherFilesAreNoPools) {
  EXPECT_EQ(Read(folder_.File("tiny.gguf")).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(CodeAfter([](auto& p) { p.metadata["general.type"] = std::string("adapter"); }),
            ErrorCode::kUnsupported);
  EXPECT_EQ(CodeAfter([](auto& p) { p.metadata["pool.version"] = std::uint64_t{2}; }),
            ErrorCode::kUnsupported);
}

TEST_F(PoolFileTest, BrokenOnesAreRefused) {
  for (const char* key : {"general.architecture", "pool.adapters", "pool.rank", "pool.lora_alpha",
                          "pool.temperature", "pool.blend", "pool.training", "pool.provenance",
                          "pool.base.name", "pool.base.fingerprint"}) {
    EXPECT_EQ(CodeAfter([&](auto& p) { p.metadata.erase(key); }), ErrorCode::kCorrupt) << key;
  }
  for (const char* key : {"pool.adapters", "pool.rank"}) {
    for (const std::uint64_t bad : {std::uint64_t{0}, std::uint64_t{4}, std::uint64_t{1} << 60}) {
      EXPECT_EQ(CodeAfter([&](auto& p) { p.metadata[key] = bad; }), ErrorCode::kCorrupt) << key;
    }
  }
  for (const char* key : {"pool.lora_alpha", "pool.temperature"}) {
    for (const double bad : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity()}) {
      EXPECT_EQ(CodeAfter([&](auto& p) { p.metadata[key] = bad; }), ErrorCode::kCorrupt) << key;
    }
  }
  EXPECT_EQ(CodeAfter([](auto& p) { p.metadata["pool.blend"] = std::string("mixed"); }),
            ErrorCode::kCorrupt);
  const GgufParts parts = GgufParts::Read(path_);
  for (const auto& [name, tensor] : parts.tensors) {
    EXPECT_EQ(CodeAfter([&, &gone = name](auto& p) { p.tensors.erase(gone); }), ErrorCode::kCorrupt)
        << name;
  }
  EXPECT_EQ(CodeAfter([](auto& p) { p.tensors["more"] = p.tensors["pool.mean"]; }),
            ErrorCode::kCorrupt);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 5.0f}) {
    EXPECT_EQ(CodeAfter([&](auto& p) {
                std::vector<float> values = p.Floats("pool.indicators");
                values[1] = bad;
                p.SetFloats("pool.indicators", values);
              }),
              ErrorCode::kCorrupt);
  }
}

TEST_F(PoolFileTest, CutOffAnywhereIsAnError) {
  const auto size = std::filesystem::file_size(path_);
  for (std::uintmax_t length = size - 1; length > 0; length -= 1 + length / 5) {
    std::filesystem::resize_file(path_, length);
    EXPECT_FALSE(Read(path_)) << length;
  }
}

}  // namespace
}  // namespace ondine::adapters
