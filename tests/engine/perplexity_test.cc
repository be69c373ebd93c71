// Perplexity, and files of logits to compare with that do not fit.
#include "engine/perplexity.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "base/file.h"
#include "base/temp_dir.h"
#include "engine/engine_fixture.h"

namespace ondine::engine {
namespace {

using ::testing::HasSubstr;

class PerplexityTest : public ::testing::Test {
 protected:
  PerplexityTest() {
    options_.context = 64;
    options_.threads = 1;
    options_.kl_base = folder_.File("base.kld");
  }

  Result<PerplexityResult> Measure(const Model& model = *testing::TinyLlamaModel()) const {
    return MeasurePerplexity(model, text_, options_);
  }
  void ExpectRefused(const Result<PerplexityResult>& result, ErrorCode code,
                     const std::string& message) const {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code);
    EXPECT_THAT(result.error().ToString(), HasSubstr(message));
    EXPECT_THAT(result.error().ToString(), HasSubstr(options_.kl_base));
  }

  const testing::TempDir folder_;
  std::string text_ = testing::RandomProse(300);
  PerplexityOptions options_;
};

TEST_F(PerplexityTest, AModelDoesNotDivergeFromItself) {
  const auto written = Measure();
  ASSERT_TRUE(written) << written.error().ToString();
  EXPECT_FALSE(written->divergence);
  const auto compared = Measure();
  ASSERT_TRUE(compared) << compared.error().ToString();
  ASSERT_TRUE(compared->divergence);
  EXPECT_EQ(compared->perplexity, written->perplexity);
  EXPECT_NEAR(compared->divergence->mean, 0, 1e-4);  // 16 bits
}

TEST_F(PerplexityTest, ABaseThatIsCutOffIsRefused) {
  ASSERT_TRUE(Measure());
  const std::string whole = base::ReadFile(options_.kl_base).value();
  for (const std::size_t length :
       {std::size_t{3}, std::size_t{19}, std::size_t{30}, whole.size() / 2, whole.size() - 1}) {
    std::ofstream(options_.kl_base, std::ios::binary) << whole.substr(0, length);
    ExpectRefused(Measure(), ErrorCode::kCorrupt, "cut off");
  }
  std::string other = whole;
  other[0] = 'L';
  std::ofstream(options_.kl_base, std::ios::binary) << other;
  ExpectRefused(Measure(), ErrorCode::kCorrupt, "no file of logits");
}

TEST_F(PerplexityTest, ABaseThatIsNoNumbersIsRefused) {
  const auto written = Measure();
  ASSERT_TRUE(written);
  std::string file = base::ReadFile(options_.kl_base).value();
  // Behind the magic bytes, three numbers and the tokens comes the first row, its scale first.
  const std::int64_t tokens = written->chunks * options_.context;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(file.data() + 8 + 3 * 4 + 4 * tokens, &nan, sizeof nan);
  std::ofstream(options_.kl_base, std::ios::binary) << file;
  ExpectRefused(Measure(), ErrorCode::kCorrupt, "no numbers");
}

TEST_F(PerplexityTest, ABaseOfSomethingElseIsRefused) {
  ASSERT_TRUE(Measure());
  const auto larger = testing::LoadTinyModel({.extra_tokens = 7});
  ExpectRefused(Measure(*larger), ErrorCode::kMismatch, "vocabulary 257");
  text_.back() = '?';  // of the last chunk's rest, which is not measured
  EXPECT_TRUE(Measure());
  text_[10] = '?';
  ExpectRefused(Measure(), ErrorCode::kMismatch, "another text");
  options_.context = 32;
  ExpectRefused(Measure(), ErrorCode::kMismatch, "context 64");
}

TEST_F(PerplexityTest, ABaseThatCannotBeIsAnError) {
  options_.kl_base = folder_.File(std::string(300, 'n'));
  ExpectRefused(Measure(), ErrorCode::kIo, "too long");
}

TEST_F(PerplexityTest, APotHasNoBase) {
  options_.pot.emplace();
  const auto result = Measure();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(result.error().message, HasSubstr("--pot"));
  EXPECT_FALSE(std::filesystem::exists(options_.kl_base));
}

// Of a stream the first chunk is not scored; a mean of nothing would be no number.
TEST_F(PerplexityTest, AStreamOfOneChunkIsRefused) {
  options_.kl_base = "";
  options_.pot = testing::InPot(96).pot;
  options_.chunks = 1;
  const auto result = Measure();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  options_.chunks = 2;
  EXPECT_TRUE(Measure());
}

}  // namespace
}  // namespace ondine::engine
