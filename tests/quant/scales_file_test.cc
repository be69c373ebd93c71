#include "quant/scales_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "adapters/adapter_fixture.h"
#include "models/base_fingerprint.h"

namespace ondine::quant {
namespace {

using namespace ::ondine::testing;
using models::FoldSite;
using ::testing::HasSubstr;

class ScalesFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteTinyModel({}, folder_.File("model.gguf")));
    decoder_ = LoadDecoder(folder_.File("model.gguf"));
    scales_.name = "test";
    scales_.architecture = "llama";
    scales_.base_fingerprint = models::BaseFingerprint(*decoder_);
    scales_.provenance = "made up";
    scales_.channels.resize(2);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      scales_.channels[layer].at(FoldSite::kMlpNorm).assign(64, 0.5f + static_cast<float>(layer));
      scales_.channels[layer].at(FoldSite::kUp).assign(96, 2);
      scales_.channels[layer].at(FoldSite::kUp)[7] = 0.25f;
    }
    scales_.keeps_outliers = true;
    for (int layer = 0; layer < 2; ++layer)
      scales_.ranges.push_back({Range{-1, 2}, {-3, 0}, {0, 4}, {-5, 6}});
  }

  Result<Scales> Read() {
    const auto file = formats::GgufFile::Open(path_);
    if (!file) return tl::make_unexpected(file.error());
    return ReadScales(*file, *decoder_);
  }

  // The message after `change` to a good file's parts.
  template <typename Change>
  std::string Refused(Change&& change) {
    EXPECT_TRUE(WriteScales(scales_, decoder_->spec(), path_));
    GgufParts parts = GgufParts::Read(path_);
    change(parts);
    parts.Write(path_);
    const auto scales = Read();
    return scales ? "accepted" : scales.error().ToString();
  }

  TempDir folder_;
  std::string path_ = folder_.File("scales.gguf");
  std::shared_ptr<const models::Decoder> decoder_;
  Scales scales_;
};

TEST_F(ScalesFileTest, ComesBackAsItWasWritten) {
  ASSERT_TRUE(WriteScales(scales_, decoder_->spec(), path_));
  const auto read = Read();
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->name, "test");
  EXPECT_EQ(read->provenance, "made up");
  ASSERT_EQ(read->channels.size(), 2u);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(read->channels[layer].of_site, scales_.channels[layer].of_site);
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      EXPECT_EQ(read->ranges[layer][site].low, scales_.ranges[layer][site].low);
      EXPECT_EQ(read->ranges[layer][site].high, scales_.ranges[layer][site].high);
    }
  }
  EXPECT_TRUE(read->keeps_outliers);
  scales_.ranges.clear();
  scales_.keeps_outliers = false;
  ASSERT_TRUE(WriteScales(scales_, decoder_->spec(), path_));
  EXPECT_TRUE(Read()->ranges.empty());
  EXPECT_FALSE(Read()->keeps_outliers);
}

TEST_F(ScalesFileTest, IsRefusedWhereItIsNotOneOfThisModel) {
  EXPECT_EQ(Refused([](GgufParts&) {}), "accepted");
  EXPECT_THAT(Refused([](GgufParts& p) { p.metadata["general.type"] = std::string("model"); }),
              HasSubstr("not a file of channel scales"));
  EXPECT_THAT(Refused([](GgufParts& p) { p.metadata["scales.version"] = std::int64_t{9}; }),
              HasSubstr("version"));
  EXPECT_THAT(Refused([](GgufParts& p) { p.metadata.erase("scales.base.fingerprint"); }),
              HasSubstr("fingerprint"));
  EXPECT_THAT(Refused([](GgufParts& p) {
                p.metadata["scales.base.fingerprint"] = std::string("0123456789abcdef");
              }),
              HasSubstr("another model"));
  EXPECT_THAT(Refused([](GgufParts& p) { p.tensors["scales.up"] = p.tensors["scales.mlp_norm"]; }),
              HasSubstr("scales.up does not fit"));
  for (const float bad : {0.0f, -1.0f, std::nanf("")}) {
    EXPECT_THAT(Refused([&](GgufParts& p) {
                  std::vector<float> values = p.Floats("scales.up");
                  values[5] = bad;
                  p.SetFloats("scales.up", values);
                }),
                HasSubstr("not positive"));
  }
  for (const auto& [low, high] : {std::pair{1.0f, 2.0f}, {-2.0f, -1.0f}, {std::nanf(""), 1.0f}}) {
    EXPECT_THAT(Refused([low = low, high = high](GgufParts& p) {
                  std::vector<float> values = p.Floats("ranges");
                  values[2] = low;
                  values[3] = high;
                  p.SetFloats("ranges", values);
                }),
                HasSubstr("range that is none"));
  }
}

}  // namespace
}  // namespace ondine::quant
