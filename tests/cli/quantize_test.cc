// 8-bit models from the command line, and that every command runs them.
#include <gmock/gmock.h>

#include "adapters/adapter_fixture.h"
#include "adapters/lora_file.h"
#include "base/file.h"
#include "cli/program.h"
#include "models/base_fingerprint.h"
#include "quant/scales_file.h"

namespace ondine::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class QuantizeCommand : public ProgramTest {
 protected:
  void SetUp() override {
    const auto decoder = LoadDecoder(Model());
    quant::Scales scales;
    scales.base_fingerprint = models::BaseFingerprint(*decoder);
    scales.provenance = "made up";
    scales.channels.resize(2);
    for (models::LayerScales& layer : scales.channels) {
      layer.at(models::FoldSite::kUp).assign(96, 1);
      layer.at(models::FoldSite::kUp)[3] = 0.5f;
    }
    ASSERT_TRUE(quant::WriteScales(scales, decoder->spec(), scales_));
    scales.ranges.resize(2);
    for (quant::LayerRanges& ranges : scales.ranges) ranges.fill({-6, 6});
    ASSERT_TRUE(quant::WriteScales(scales, decoder->spec(), with_ranges_));
  }

  std::vector<std::string> Command(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"quantize", "-m", Model(), "-o", out_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static std::string Text() {
    std::string text;
    while (text.size() < 3000) text += "It rained for a day, and then the river rose. ";
    return text;
  }

  const std::string out_ = Path("w8a8.gguf");
  const std::string scales_ = Path("scales.gguf"), with_ranges_ = Path("ranges.gguf");
  const std::string text_ = Write("text.txt", Text());
};

TEST_F(QuantizeCommand, WritesAModelThatEveryCommandRuns) {
  const json report = Json(Command({"--calibrate", text_, "--json"}));
  EXPECT_EQ(report.at("scheme"), "w8a8");
  EXPECT_EQ(report.at("calibration_tokens"), 2560);
  EXPECT_GT(report.at("bytes_after").get<int>(), 0);
  EXPECT_GT(report.at("rss_peak_bytes").get<double>(), 1e6);
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ondine.quantization.scheme: w8a8"));

  EXPECT_EQ(Json({"run", "-m", out_, "-p", "Once", "-n", "8", "--json", "--ignore-eos"})
                .at("tokens_generated"),
            8);
  EXPECT_EQ(Json({"read", "-m", out_, "--pot", "512", text_, "--ask", "Why?", "-n", "4", "--json"})
                .at("answers")
                .size(),
            1U);
  EXPECT_THAT(Output({"bench", "-m", out_, "-p", "8", "-n", "2", "-r", "1"}), HasSubstr("w8a8"));
  const double plain = Json({"perplexity", "-m", Model(), "-f", text_, "--json"}).at("ppl");
  const double coded = Json({"perplexity", "-m", out_, "-f", text_, "--json"}).at("ppl");
  EXPECT_NEAR(coded, plain, 0.1 * plain);

  const adapters::LoraAdapter lora = RandomLora(*LoadDecoder(Model()), {"attn_q", "ffn_up"}, 2, 1);
  ASSERT_TRUE(adapters::WriteLora(lora, Path("adapter.gguf")));
  const std::vector<std::string> with_adapter = {"perplexity", "-f",        text_,
                                                 "--json",     "--adapter", Path("adapter.gguf")};
  const auto perplexity = [&](const std::string& model) {
    auto arguments = with_adapter;
    arguments.insert(arguments.end(), {"-m", model});
    return Json(arguments).at("ppl").get<double>();
  };
  EXPECT_NEAR(perplexity(out_), perplexity(Model()), 0.1 * perplexity(Model()));
}

TEST_F(QuantizeCommand, TakesRangesFromTheScalesOrFromAText) {
  Output(Command({"--scales", with_ranges_}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ranges: learned"));
  Output(Command({"--scales", with_ranges_, "--ranges", "minmax", "--calibrate", text_}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ranges: min-max of 2560 tokens"));
  Output(Command({"--scales", scales_, "--calibrate", "-"}), Text());
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ranges: all but a share of 0.002"));
  Output(Command({"--scales", with_ranges_, "--calibrate", text_, "--outliers", "0.01"}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ranges: all but a share of 0.01"));
  Output(Command({"--scales", scales_, "--calibrate", text_, "--ranges", "mse"}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ranges: least squares of 2560 tokens"));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("scales: made up"));
  for (const std::string scheme : {"w8a6", "w6a8"}) {
    Output(Command({"--calibrate", text_, "--scheme", scheme, "--per-tensor"}));
    EXPECT_THAT(Output({"info", out_}), HasSubstr("scheme: " + scheme));
  }
}

// Coarse codes, so that what is outside of their ranges shows: clipped, it costs more than the
// narrower range gains.
TEST_F(QuantizeCommand, KeepsOutliers) {
  const auto divergence = [&](const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {"--calibrate", text_,     "--scheme",
                                          "w8a4",        "--sites", Path("sites.json")};
    arguments.insert(arguments.end(), options.begin(), options.end());
    Output(Command(arguments));
    return Json({"perplexity", "-m", out_, "-f", text_, "--ctx", "128", "--kl-base",
                 Path("exact.logits"), "--json"})
        .at("kld_mean")
        .get<double>();
  };
  Output({"perplexity", "-m", Model(), "-f", text_, "--ctx", "128", "--kl-base",
          Path("exact.logits")});
  const double none = divergence({"--ranges", "outliers", "--outliers", "0"});
  const double few = divergence({"--outliers", "0.02"});
  const json sites = json::parse(*base::ReadFile(Path("sites.json")));
  for (const json& site : sites) {
    EXPECT_GT(site.at("outliers").get<double>(), 0.005);
    EXPECT_LE(site.at("outliers").get<double>(), 0.02);
  }
  const double many = divergence({"--outliers", "0.15"});
  EXPECT_LT(few, none);
  EXPECT_LT(many, 0.5 * few);
  EXPECT_THAT(Output({"info", out_}), HasSubstr("inputs outside of their ranges"));
  EXPECT_THAT(Refusal(kUsage, Command({"--calibrate", text_, "--outliers", "0.5"})),
              HasSubstr("--outliers"));
}

TEST_F(QuantizeCommand, MakesScalesItself) {
  Output(Command({"--smooth", "0.75", "--calibrate", text_}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("SmoothQuant 0.75"));
  Output(Command({"--equalize", "--calibrate", text_}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("cross-layer equalisation"));
  Output(Command({"--equalize", "--fold-only"}));  // needs no text
  EXPECT_THAT(Refusal(kUsage, Command({"--smooth", "0.75"})), HasSubstr("text is needed"));
  EXPECT_THAT(Refusal(kUsage, Command({"--smooth", "1.5", "--calibrate", text_})),
              HasSubstr("--smooth"));
  EXPECT_THAT(Refusal(kUsage, Command({"--smooth", "0.5", "--equalize", "--calibrate", text_})),
              HasSubstr("--equalize"));
}

TEST_F(QuantizeCommand, TellsWhereTheOutliersAre) {
  Output(Command({"--scales", with_ranges_, "--calibrate", text_, "--sites", Path("sites.json")}));
  const json sites = json::parse(*base::ReadFile(Path("sites.json")));
  ASSERT_EQ(sites.size(), 2U * 4);
  const json& down = sites.at(7);
  EXPECT_EQ(down.at("layer"), 1);
  EXPECT_EQ(down.at("site"), "down");
  EXPECT_EQ(down.at("low"), -6);
  EXPECT_GT(down.at("relative_error").get<double>(), 0);
  EXPECT_LT(down.at("relative_error").get<double>(), 0.5);
  const auto before = down.at("largest").get<std::vector<double>>();
  const auto after = down.at("largest_scaled").get<std::vector<double>>();
  ASSERT_EQ(before.size(), 96U);
  EXPECT_NEAR(after[3], before[3] / 2, 1e-6);
  EXPECT_NEAR(after[4], before[4], 1e-6);
  EXPECT_THAT(Refusal(kUsage, Command({"--scales", with_ranges_, "--sites", Path("sites.json")})),
              HasSubstr("text is needed"));
  EXPECT_THAT(
      Refusal(kUsage, Command({"--scales", scales_, "--fold-only", "--sites", Path("sites.json")})),
      HasSubstr("only folded in"));
}

TEST_F(QuantizeCommand, FoldsWithoutChangingTheModel) {
  Output(Command({"--scales", scales_, "--fold-only"}));
  const auto text_of = [&](const std::string& model) {
    return Json({"run", "-m", model, "-p", "Once", "-n", "16", "--json", "--ignore-eos"})
        .at("text");
  };
  EXPECT_EQ(text_of(out_), text_of(Model()));
  EXPECT_THAT(Refusal(kUsage, {"quantize", "-m", out_, "-o", Path("twice.gguf"), "--scales",
                               scales_, "--fold-only"}),
              HasSubstr("already"));
}

TEST_F(QuantizeCommand, RefusesWhatItCannotDoAndLeavesNoFile) {
  EXPECT_THAT(Refusal(kUsage, Command({})), HasSubstr("text is needed"));
  EXPECT_THAT(Refusal(kUsage, Command({"--calibrate", Write("short.txt", "too short")})),
              HasSubstr("at least one sequence of 512"));
  EXPECT_THAT(Refusal(kFailed, Command({"--calibrate", Path("none.txt")})), HasSubstr("none.txt"));
  for (const std::string scheme : {"w1a1", "w9a8", "int8", "", "w8a8x"}) {
    EXPECT_THAT(Refusal(kUsage, Command({"--calibrate", text_, "--scheme", scheme})),
                HasSubstr("scheme"));
  }
  EXPECT_THAT(Refusal(kUsage, Command({"--fold-only"})), HasSubstr("no scales"));
  EXPECT_THAT(Refusal(kFailed, Command({"--scales", Model(), "--calibrate", text_})),
              HasSubstr("not a file of channel scales"));
  std::string cut = *base::ReadFile(scales_);
  cut.resize(cut.size() / 2);
  EXPECT_THAT(Refusal(kFailed, Command({"--scales", Write("cut.gguf", cut)})),
              HasSubstr("cut.gguf"));
  ASSERT_TRUE(WriteTinyModel({.seed = 9}, Path("other.gguf")));
  EXPECT_THAT(Refusal(kFailed,
                      {"quantize", "-m", Path("other.gguf"), "-o", out_, "--scales", with_ranges_}),
              HasSubstr("another model"));
  EXPECT_THAT(Files(), Not(::testing::Contains("w8a8.gguf")));
  EXPECT_THAT(
      Refusal(kFailed, {"quantize", "-m", Model(), "-o", "/dev/full", "--scales", with_ranges_}),
      Not(IsEmpty()));
}

}  // namespace
}  // namespace ondine::testing
