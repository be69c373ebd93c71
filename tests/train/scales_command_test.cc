// The program `ondine-train scales`, from a text to a file that a model is quantised with.
#include <gmock/gmock.h>

#include "adapters/adapter_fixture.h"
#include "base/file.h"
#include "ondine/quantization.h"
#include "quant/scales_file.h"
#include "train/training_test.h"

namespace ondine::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int kFailed = 1, kUsage = 2;

class ScalesCommandTest : public TrainingTest {
 protected:
  static std::string Text() {
    std::string text;
    while (text.size() < 400) text += "It rained for a day, and then the river rose. ";
    return text;
  }

  std::vector<std::string> Command(const std::vector<std::string>& more = {},
                                   const std::string& out = "scales.gguf") const {
    std::vector<std::string> command = {
        "scales",    "-m",        Model(),        "--text",    text_,
        "--context", "32",        "--steps",      "4",         "--layer-steps",
        "6",         "--rate",    "1e-2",         "--threads", "1",
        "--log",     Path("log"), "--validation", text_,       "--validation-sequences",
        "2",         "-o",        Path(out)};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  std::vector<float> Values(const std::string& name) const {
    const auto file = formats::GgufFile::Open(Path(name));
    EXPECT_TRUE(file) << file.error().ToString();
    const auto scales = quant::ReadScales(*file, *LoadDecoder(Model()));
    EXPECT_TRUE(scales) << scales.error().ToString();
    std::vector<float> values;
    for (const models::LayerScales& layer : scales->channels) {
      for (const std::vector<float>& of_site : layer.of_site) {
        values.insert(values.end(), of_site.begin(), of_site.end());
      }
    }
    for (const quant::LayerRanges& layer : scales->ranges) {
      for (const quant::Range& range : layer) values.insert(values.end(), {range.low, range.high});
    }
    return values;
  }

  const std::string text_ = Write("text.txt", Text());
};

TEST_F(ScalesCommandTest, WritesScalesThatAModelIsQuantisedWith) {
  Output(Command());
  // Two norms of 64 and 96 channels of up, and four ranges, in each of two layers.
  EXPECT_EQ(Values("scales.gguf").size(), 2U * (64 + 64 + 96 + 8));
  QuantizationOptions options;
  options.scales = Path("scales.gguf");
  const auto report = Quantize(Model(), Path("w8a8.gguf"), options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_TRUE(LoadDecoder(Path("w8a8.gguf"))->quantization());

  std::vector<std::string> events;
  std::string log = base::ReadFile(Path("log")).value();
  for (std::size_t end; (end = log.find('\n')) != std::string::npos; log.erase(0, end + 1)) {
    events.push_back(json::parse(log.substr(0, end)).at("event"));
  }
  EXPECT_EQ(events.front(), "start");
  EXPECT_EQ(std::ranges::count(events, "step"), 2 * 6 + 4);
  EXPECT_EQ(std::ranges::count(events, "validation"), 3);
}

TEST_F(ScalesCommandTest, LearnsScalesForCodesThatKeepOutliers) {
  Output(Command({"--outliers", "0.02"}));
  EXPECT_EQ(Values("scales.gguf").size(), 2U * (64 + 64 + 96 + 8));
  Output(Command({"--outliers", "0.02", "--learn", "nothing"}, "start.gguf"));
  EXPECT_GT(RelativeDifference(Values("scales.gguf"), Values("start.gguf")), 1e-3);
  QuantizationOptions options;
  options.scales = Path("scales.gguf");
  ASSERT_TRUE(Quantize(Model(), Path("w8a8.gguf"), options));
  EXPECT_TRUE(LoadDecoder(Path("w8a8.gguf"))
                  ->quantization()
                  ->layers[1]
                  .at(models::CodeSite::kDown)
                  .keeps_outliers);
  EXPECT_THAT(Refusal(kUsage, Command({"--outliers", "0.02", "--bfloat16"})),
              HasSubstr("bfloat16"));
}

TEST_F(ScalesCommandTest, WritesATunedModel) {
  for (const std::string learn : {"ranges", "weights"}) {
    SCOPED_TRACE(learn);
    std::vector<std::string> command =
        Command({"--tuned-model", Path("tuned.gguf"), "--target", "text", "--learn", learn});
    *(std::ranges::find(command, "--layer-steps") + 1) = "0";
    Output(command);
    const GgufParts before = GgufParts::Read(Model()), after = GgufParts::Read(Path("tuned.gguf"));
    ASSERT_EQ(after.tensors.size(), before.tensors.size());
    for (const auto& [name, tensor] : before.tensors) {
      EXPECT_NE(after.tensors.at(name).data, tensor.data) << name;
    }
    QuantizationOptions options;
    options.scales = Path("scales.gguf");
    // Training of the float model tells no ranges.
    options.fold_only = learn == "weights";
    EXPECT_TRUE(Quantize(Path("tuned.gguf"), Path("w8a8.gguf"), options));
  }
  for (const std::string learn : {"weights", "rounding"}) {
    EXPECT_THAT(Refusal(kUsage, Command({"--learn", learn})), HasSubstr("--tuned-model"));
  }
}

TEST_F(ScalesCommandTest, TheSameCommandWritesTheSameFile) {
  Output(Command({}, "first.gguf"));
  Output(Command({}, "second.gguf"));
  EXPECT_EQ(base::ReadFile(Path("first.gguf")).value(),
            base::ReadFile(Path("second.gguf")).value());
  Output(Command({"--seed", "2"}, "third.gguf"));
  EXPECT_NE(Values("first.gguf"), Values("third.gguf"));
}

TEST_F(ScalesCommandTest, TwoProcessesLearnWhatOneLearns) {
  Output(Command({}, "alone.gguf"));
  RunInTwo(Command({}, "together.gguf"));
  EXPECT_LT(RelativeDifference(Values("together.gguf"), Values("alone.gguf")), 1e-2);
}

TEST_F(ScalesCommandTest, LearnsNothingWhereThatIsAsked) {
  Output(Command({"--learn", "nothing", "--start", "ones"}));
  const std::vector<float> values = Values("scales.gguf");
  EXPECT_EQ(std::ranges::count(values, 1.0f), 2 * (64 + 64 + 96));
}

TEST_F(ScalesCommandTest, RefusesWhatItCannotUse) {
  EXPECT_THAT(Refusal(kUsage, {"scales", "-m", Model(), "--text", Write("short.txt", "short"), "-o",
                               Path("no.gguf"), "--context", "32"}),
              HasSubstr("at least one sequence of 32"));
  EXPECT_THAT(Refusal(kFailed,
                      {"scales", "-m", Model(), "--text", Path("none.txt"), "-o", Path("no.gguf")}),
              HasSubstr("none.txt"));
  EXPECT_THAT(Refusal(kUsage, Command({"--sites", "attention_norm,here"})), HasSubstr("here"));
  EXPECT_THAT(Refusal(kUsage, Command({"--checkpoint", Path("scales.gguf")})),
              HasSubstr("two purposes"));
  EXPECT_THAT(Refusal(kUsage, {"scales", "-m", Model(), "--text", text_, "--validation",
                               Write("other.txt", Text()), "-o", Path("other.txt")}),
              HasSubstr("two purposes"));
  EXPECT_THAT(Refusal(kUsage, Command({"--device", "toaster"})), HasSubstr("toaster"));
  for (const char* rate : {"--rate", "--layer-rate", "--weight-rate"}) {
    EXPECT_THAT(Refusal(kUsage, {"scales", "-m", Model(), "--text", text_, "-o", Path("no.gguf"),
                                 rate, "0"}),
                HasSubstr("above 0"));
  }
}

}  // namespace
}  // namespace ondine::testing
