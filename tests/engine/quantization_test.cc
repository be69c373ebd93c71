#include "ondine/quantization.h"

#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "engine/engine_fixture.h"

namespace ondine::testing {
namespace {

class QuantizationTest : public ::testing::Test {
 protected:
  QuantizationTest() {
    EXPECT_TRUE(WriteTinyModel({}, model_));
    options_.calibration_text = RandomProse(2000);
    options_.sequences = 2;
    options_.threads = 1;
  }

  const TempDir folder_;
  const std::string model_ = folder_.File("model.gguf");
  QuantizationOptions options_;
};

TEST_F(QuantizationTest, TriesTheOutputBeforeTheWork) {
  options_.on_progress = [](const QuantizationProgress& progress) { FAIL() << progress.phase; };
  const auto report = Quantize(model_, folder_.File("no/out.gguf"), options_);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
}

TEST_F(QuantizationTest, CountsTheTokensOfACalibrationForScalesAlone) {
  options_.smooth = 0.5;
  options_.fold_only = true;
  const auto report = Quantize(model_, folder_.File("out.gguf"), options_);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->calibration_tokens, 1024);
}

}  // namespace
}  // namespace ondine::testing
