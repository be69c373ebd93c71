#include "quant/smoothing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "adapters/adapter_fixture.h"

namespace ondine::quant {
namespace {

using namespace ::ondine::testing;
using models::CodeSite;
using models::FoldSite;

constexpr std::array kAllSites = {FoldSite::kAttentionNorm, FoldSite::kMlpNorm, FoldSite::kValue,
                                  FoldSite::kUp};

class SmoothingTest : public ::testing::Test {
 protected:
  SmoothingTest() {
    EXPECT_TRUE(WriteTinyModel({}, folder_.File("model.gguf")));
    decoder_ = LoadDecoder(folder_.File("model.gguf"));
    parts_ = GgufParts::Read(folder_.File("model.gguf"));
    largest_.resize(2);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (const auto& [site, width] : {std::pair{CodeSite::kAttention, 64},
                                        {CodeSite::kOutput, 128},
                                        {CodeSite::kMlp, 64},
                                        {CodeSite::kDown, 96}}) {
        std::vector<float>& of_site = largest_[layer][static_cast<std::size_t>(site)];
        for (int c = 0; c < width; ++c) {
          of_site.push_back(1 + static_cast<float>((c * 7 + 3 * static_cast<int>(layer)) % 13));
        }
      }
    }
  }

  // The greatest magnitude of a column, or of a row, of a matrix [out][in].
  double Largest(const std::string& tensor, std::size_t in, bool of_column, std::size_t at) {
    const std::vector<float> values = parts_.Floats(tensor);
    double largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if ((of_column ? i % in : i / in) == at) {
        largest = std::max(largest, std::fabs(static_cast<double>(values[i])));
      }
    }
    return largest;
  }

  // That scales are `expected` times one factor, with geometric mean 1.
  template <typename Expected>
  static void ExpectProportional(const std::vector<float>& scales, Expected&& expected) {
    double mean = 0;
    for (const float scale : scales) mean += std::log(scale) / static_cast<double>(scales.size());
    EXPECT_NEAR(mean, 0, 1e-5);
    const double factor = scales[0] / expected(std::size_t{0});
    for (std::size_t c = 1; c < scales.size(); ++c) {
      EXPECT_NEAR(scales[c] / expected(c), factor, 1e-4 * factor) << c;
    }
  }

  TempDir folder_;
  std::shared_ptr<const models::Decoder> decoder_;
  GgufParts parts_;
  LargestInputs largest_;
};

TEST_F(SmoothingTest, SmoothQuantEqualsItsFormula) {
  for (const double p : {0.0, 0.25, 0.8, 1.0}) {
    const models::ChannelScales scales = SmoothScales(*decoder_, largest_, kAllSites, p);
    ASSERT_EQ(scales.size(), 2U);
    const auto input = [&](CodeSite site, std::size_t c) {
      return std::pow(largest_[1][static_cast<std::size_t>(site)][c], p);
    };
    ExpectProportional(scales[1].at(FoldSite::kAttentionNorm), [&](std::size_t c) {
      const double weight = std::max({Largest("blk.1.attn_q.weight", 64, true, c),
                                      Largest("blk.1.attn_k.weight", 64, true, c),
                                      Largest("blk.1.attn_v.weight", 64, true, c)});
      return std::pow(weight, 1 - p) / input(CodeSite::kAttention, c);
    });
    ExpectProportional(scales[1].at(FoldSite::kUp), [&](std::size_t c) {
      return std::pow(Largest("blk.1.ffn_down.weight", 96, true, c), 1 - p) /
             input(CodeSite::kDown, c);
    });
    // Two query heads read each KV head of 32 channels.
    ExpectProportional(scales[1].at(FoldSite::kValue), [&](std::size_t c) {
      const std::size_t a = c / 32 * 64 + c % 32, b = a + 32;
      const double weight = std::max(Largest("blk.1.attn_output.weight", 128, true, a),
                                     Largest("blk.1.attn_output.weight", 128, true, b));
      return std::pow(weight, 1 - p) /
             std::max(input(CodeSite::kOutput, a), input(CodeSite::kOutput, b));
    });
  }
}

TEST_F(SmoothingTest, EqualizationEqualsItsFormula) {
  const models::ChannelScales scales = EqualizedScales(*decoder_, kAllSites);
  ExpectProportional(scales[0].at(FoldSite::kMlpNorm), [&](std::size_t c) {
    const double weight = std::max(Largest("blk.0.ffn_gate.weight", 64, true, c),
                                   Largest("blk.0.ffn_up.weight", 64, true, c));
    return std::sqrt(weight / std::fabs(parts_.Floats("blk.0.ffn_norm.weight")[c]));
  });
  ExpectProportional(scales[0].at(FoldSite::kUp), [&](std::size_t c) {
    return std::sqrt(Largest("blk.0.ffn_down.weight", 96, true, c) /
                     Largest("blk.0.ffn_up.weight", 64, false, c));
  });
}

TEST_F(SmoothingTest, LeavesOutWhatTheArchitectureOrTheCallerHasNot) {
  const std::array only = {FoldSite::kMlpNorm};
  EXPECT_TRUE(SmoothScales(*decoder_, largest_, only, 0.5)[0].at(FoldSite::kUp).empty());
  ASSERT_TRUE(WriteTinyModel({.architecture = "gpt2", .width = 128, .kv_heads = 4},
                             folder_.File("gpt2.gguf")));
  const auto gpt2 = LoadDecoder(folder_.File("gpt2.gguf"));
  const models::ChannelScales scales = EqualizedScales(*gpt2, kAllSites);
  EXPECT_EQ(scales[1].at(FoldSite::kMlpNorm).size(), 128U);
  EXPECT_EQ(scales[1].at(FoldSite::kValue).size(), 128U);
  EXPECT_TRUE(scales[1].at(FoldSite::kUp).empty());
}

TEST_F(SmoothingTest, AChannelThatIsNeverUsedGetsAScale) {
  largest_[0][static_cast<std::size_t>(CodeSite::kDown)][5] = 0;
  const models::ChannelScales scales = SmoothScales(*decoder_, largest_, kAllSites, 1);
  for (const float scale : scales[0].at(FoldSite::kUp)) {
    EXPECT_TRUE(std::isfinite(scale) && scale > 0);
  }
}

}  // namespace
}  // namespace ondine::quant
