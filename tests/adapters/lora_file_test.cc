#include "adapters/lora_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>

#include "adapters/adapter_fixture.h"

namespace ondine::adapters {
namespace {

using namespace ::ondine::testing;

class LoraFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel({}, folder_.File("tiny.gguf")));
    decoder_ = LoadDecoder(folder_.File("tiny.gguf"));
    lora_ = RandomLora(*decoder_, {"attn_q", "ffn_down"}, 3, 5);
    ASSERT_TRUE(WriteLora(lora_, path_));
  }

  static Result<LoraAdapter> Read(const std::string& path) {
    const auto file = formats::GgufFile::Open(path);
    if (!file) return tl::make_unexpected(file.error());
    compute::ThreadPool pool(1);
    return ReadLora(*file, pool);
  }

  // Of the file after `change`.
  Error ErrorAfter(const std::function<void(GgufParts&)>& change) const {
    GgufParts parts = GgufParts::Read(path_);
    change(parts);
    const std::string bad = folder_.File("bad.gguf");
    parts.Write(bad);
    const auto lora = Read(bad);
    EXPECT_FALSE(lora);
    return lora ? Error() : lora.error();
  }

  TempDir folder_;
  std::string path_ = folder_.File("lora.gguf");
  std::shared_ptr<const models::Decoder> decoder_;
  LoraAdapter lora_;
};

TEST_F(LoraFileTest, WhatIsWrittenIsRead) {
  const auto read = Read(path_);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->architecture, "llama");
  EXPECT_EQ(read->alpha, lora_.alpha);
  EXPECT_EQ(Fingerprint(*read), Fingerprint(lora_));
  EXPECT_EQ(LogitsWith(decoder_, {{&*read, 1.0f}}), LogitsWith(decoder_, {{&lora_, 1.0f}}));
}

TEST_F(LoraFileTest, AlphaIsNeverLeftOut) {
  lora_.alpha = 0;
  ASSERT_TRUE(WriteLora(lora_, path_));
  const auto read = Read(path_);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->alpha, 3);
  EXPECT_EQ(LogitsWith(decoder_, {{&*read, 1.0f}}), LogitsWith(decoder_, {{&lora_, 1.0f}}));
  // One number cannot stand for "1" with two ranks.
  lora_.matrices["blk.0.attn_v.weight"] =
      RandomLora(*decoder_, {"attn_v"}, 2, 1).matrices["blk.0.attn_v.weight"];
  EXPECT_EQ(WriteLora(lora_, path_).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(LoraFileTest, MissingAlphaMeansNoFactor) {
  GgufParts parts = GgufParts::Read(path_);
  parts.metadata.erase("adapter.lora.alpha");
  parts.Write(path_);
  EXPECT_EQ(Read(path_)->alpha, 0);
}

TEST_F(LoraFileTest, OtherFilesAreNoAdapters) {
  EXPECT_EQ(Read(folder_.File("tiny.gguf")).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(ErrorAfter([](auto& p) { p.metadata["general.type"] = std::string("model"); }).code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(ErrorAfter([](auto& p) { p.metadata["adapter.type"] = std::string("ia3"); }).code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(ErrorAfter([](auto& p) { p.metadata.erase("general.architecture"); }).code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(ErrorAfter([](auto& p) {
              p.metadata["adapter.alora.invocation_tokens"] = std::vector<std::uint64_t>{1};
            }).code,
            ErrorCode::kUnsupported);
}

TEST_F(LoraFileTest, BrokenOnesAreRefused) {
  const std::string a = "blk.0.attn_q.weight.lora_a", b = "blk.0.attn_q.weight.lora_b";
  for (const std::string& gone : {a, b}) {
    const Error error = ErrorAfter([&](auto& p) { p.tensors.erase(gone); });
    EXPECT_EQ(error.code, ErrorCode::kCorrupt);
    EXPECT_NE(error.ToString().find(gone), std::string::npos) << error.ToString();
  }
  EXPECT_EQ(ErrorAfter([](auto& p) { p.tensors.clear(); }).code, ErrorCode::kCorrupt);
  EXPECT_EQ(ErrorAfter([&](auto& p) { p.tensors["norm.weight"] = p.tensors[a]; }).code,
            ErrorCode::kUnsupported);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(ErrorAfter([&](auto& p) {
                std::vector<float> values = p.Floats(b);
                values.back() = bad;
                p.SetFloats(b, values);
              }).code,
              ErrorCode::kCorrupt);
  }
  EXPECT_EQ(ErrorAfter([&](auto& p) { p.metadata["adapter.lora.alpha"] = std::string("x"); }).code,
            ErrorCode::kCorrupt);
  // A rank that the counterpart has not; a third dimension.
  EXPECT_EQ(ErrorAfter([&](auto& p) {
              p.tensors[b].shape = {1, p.tensors[b].shape[1] * 3};
            }).code,
            ErrorCode::kCorrupt);
  EXPECT_EQ(ErrorAfter([&](auto& p) { p.tensors[a].shape.push_back(1); }).code,
            ErrorCode::kCorrupt);
}

TEST_F(LoraFileTest, CutOffAnywhereIsAnError) {
  const auto size = std::filesystem::file_size(path_);
  for (std::uintmax_t length = 0; length < size; length += 1 + length / 7) {
    std::filesystem::resize_file(path_, size);
    ASSERT_TRUE(WriteLora(lora_, path_));
    std::filesystem::resize_file(path_, length);
    EXPECT_FALSE(Read(path_)) << length;
  }
}

}  // namespace
}  // namespace ondine::adapters
