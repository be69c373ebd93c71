#include "quant/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "adapters/adapter_fixture.h"

namespace ondine::quant {
namespace {

using namespace ::ondine::testing;
using models::CodeSite;
using models::FoldSite;
using ::testing::HasSubstr;

class CalibrationTest : public ::testing::Test {
 protected:
  std::shared_ptr<const models::Decoder> Load(const TinyModel& model) {
    EXPECT_TRUE(WriteTinyModel(model, folder_.File("model.gguf")));
    return LoadDecoder(folder_.File("model.gguf"));
  }

  static std::vector<std::int32_t> Tokens(int count) {
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < count; ++i) tokens.push_back((i * 37 + i * i) % 200);
    return tokens;
  }

  TempDir folder_;
};

const SiteStatistics& At(const Calibration& calibration, std::size_t layer, CodeSite site) {
  return calibration.layers[layer][static_cast<std::size_t>(site)];
}

TEST_F(CalibrationTest, SeesEveryTokenAtEverySiteOnAnyTeam) {
  const auto decoder = Load({});
  const CalibrationOptions options = {.context = 40};
  std::vector<Calibration> all;
  for (const int threads : {1, 3}) {
    compute::ThreadPool pool(threads);
    auto calibration = Calibrate(decoder, pool, Tokens(130), options);
    ASSERT_TRUE(calibration) << calibration.error().ToString();
    all.push_back(std::move(*calibration));
  }
  for (const Calibration& calibration : all) {
    EXPECT_EQ(calibration.tokens, 120);
    ASSERT_EQ(calibration.layers.size(), 2u);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (std::size_t site = 0; site < models::kCodeSites; ++site) {
        const SiteStatistics& statistics = calibration.layers[layer][site];
        const std::int64_t width = site == 3 ? 96 : site == 1 ? 128 : 64;
        EXPECT_EQ(statistics.values.count(), 120 * width);
        EXPECT_EQ(static_cast<std::int64_t>(statistics.largest.size()), width);
        const Range range = statistics.values.range();
        EXPECT_LT(range.low, 0);
        EXPECT_GT(range.high, 0);
        EXPECT_EQ(*std::ranges::max_element(statistics.largest), std::max(-range.low, range.high));
        EXPECT_EQ(statistics.largest, all.front().layers[layer][site].largest);
      }
    }
  }
}

TEST_F(CalibrationTest, RecordsScaledActivations) {
  const auto decoder = Load({});
  compute::ThreadPool pool(2);
  CalibrationOptions options = {.context = 40};
  const auto plain = Calibrate(decoder, pool, Tokens(80), options);
  options.scales.resize(2);
  options.scales[1].at(FoldSite::kUp).assign(96, 1);
  options.scales[1].at(FoldSite::kUp)[5] = 8;
  options.scales[1].at(FoldSite::kValue).assign(64, 1);
  options.scales[1].at(FoldSite::kValue)[33] = 4;  // of the second KV head
  const auto scaled = Calibrate(decoder, pool, Tokens(80), options);
  ASSERT_TRUE(plain && scaled);
  EXPECT_EQ(At(*scaled, 0, CodeSite::kDown).largest, At(*plain, 0, CodeSite::kDown).largest);
  EXPECT_EQ(At(*scaled, 1, CodeSite::kMlp).largest, At(*plain, 1, CodeSite::kMlp).largest);
  for (std::size_t c = 0; c < 96; ++c) {
    EXPECT_EQ(At(*scaled, 1, CodeSite::kDown).largest[c],
              At(*plain, 1, CodeSite::kDown).largest[c] * (c == 5 ? 8 : 1));
  }
  for (std::size_t c = 0; c < 128; ++c) {  // heads 2 and 3 share the second KV head
    EXPECT_EQ(At(*scaled, 1, CodeSite::kOutput).largest[c],
              At(*plain, 1, CodeSite::kOutput).largest[c] * (c == 65 || c == 97 ? 4 : 1));
  }
}

TEST_F(CalibrationTest, NeedsASequenceAndStops) {
  const auto decoder = Load({});
  compute::ThreadPool pool(1);
  CalibrationOptions options;
  const auto little = Calibrate(decoder, pool, Tokens(511), options);
  ASSERT_FALSE(little);
  EXPECT_THAT(little.error().ToString(), HasSubstr("511 tokens; at least one sequence of 512"));
  options.stop_token.Stop();
  const auto stopped = Calibrate(decoder, pool, Tokens(512), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

TEST_F(CalibrationTest, NamesActivationsThatAreNoNumbers) {
  ASSERT_TRUE(WriteTinyModel({}, folder_.File("model.gguf")));
  GgufParts parts = GgufParts::Read(folder_.File("model.gguf"));
  std::vector<float> gate = parts.Floats("blk.0.ffn_up.weight");
  for (float& value : gate) value = 1e38f;
  parts.SetFloats("blk.0.ffn_up.weight", gate);
  parts.Write(folder_.File("model.gguf"));
  compute::ThreadPool pool(1);
  const auto calibration =
      Calibrate(LoadDecoder(folder_.File("model.gguf")), pool, Tokens(40), {.context = 40});
  ASSERT_FALSE(calibration);
  EXPECT_THAT(calibration.error().ToString(), HasSubstr("not finite"));
}

}  // namespace
}  // namespace ondine::quant
