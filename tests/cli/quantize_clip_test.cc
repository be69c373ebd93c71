// CLIPs with 8-bit towers from the command line.
#include <gmock/gmock.h>

#include <filesystem>
#include <numeric>

#include "cli/program.h"
#include "images/test_pictures.h"
#include "images/tiny_clip.h"

namespace ondine::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class QuantizeClipCommand : public ProgramTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TinyClip().WriteGguf(clip_));
    fs::create_directories(pictures_);
    for (int i = 0; i < 6; ++i) {
      const auto shade = static_cast<std::uint8_t>(40 * i);
      Write("pictures/" + std::to_string(i) + ".png",
            PlainPicture(8, 8, {shade, 99, static_cast<std::uint8_t>(255 - shade)}));
    }
  }

  std::vector<std::string> Command(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"quantize", "-m", clip_, "-o", out_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::vector<double> Vector(const std::string& clip, const std::vector<std::string>& what) const {
    std::vector<std::string> arguments = {"images", "encode", "--clip", clip};
    arguments.insert(arguments.end(), what.begin(), what.end());
    return Json(arguments).at("vector").get<std::vector<double>>();
  }

  const std::string clip_ = Path("clip.gguf"), out_ = Path("clip.w8a8.gguf");
  const std::string pictures_ = Path("pictures");
};

TEST_F(QuantizeClipCommand, WritesAClipThatEveryCommandRuns) {
  const json report = Json(Command({"--pictures", pictures_, "--json"}));
  EXPECT_EQ(report.at("scheme"), "w8a8");
  EXPECT_EQ(report.at("pictures"), 6);
  EXPECT_GT(report.at("texts"), 20);
  EXPECT_LT(report.at("bytes_after"), report.at("bytes_before"));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ondine.quantization.scheme: w8a8"));
  for (const std::vector<std::string>& what :
       {std::vector<std::string>{"a (red:2) shoe"}, {"--picture", Path("pictures/3.png")}}) {
    const auto coded = Vector(out_, what), plain = Vector(clip_, what);
    EXPECT_GT(std::inner_product(coded.begin(), coded.end(), plain.begin(), 0.0), 0.98);
  }
  EXPECT_EQ(Vector(out_, {"a (red:1) shoe"}), Vector(out_, {"a red shoe"}));
  const std::string library = Path("photos.db");
  EXPECT_EQ(
      Json({"images", "index", pictures_, "--clip", out_, "--db", library, "--json"}).at("photos"),
      6);
  EXPECT_EQ(Json({"images", "search", "red", "--clip", out_, "--db", library, "--json"})
                .at("results")
                .size(),
            6u);
  fs::create_directories(Path("classes/dark"));
  fs::create_directories(Path("classes/light"));
  fs::copy(Path("pictures/0.png"), Path("classes/dark/0.png"));
  fs::copy(Path("pictures/5.png"), Path("classes/light/5.png"));
  const json learned = Json({"images", "learn", Path("classes"), "--clip", out_, "-o",
                             Path("classes.json"), "--steps", "30", "--json"});
  EXPECT_LT(learned.at("loss"), learned.at("plain_loss"));
  EXPECT_EQ(Json({"images", "classify", pictures_, "--classes", Path("classes.json"), "--clip",
                  out_, "--json"})
                .at("photos")
                .size(),
            6u);
  // Vectors of the two are not mixed.
  EXPECT_THAT(Refusal(kFailed, {"images", "search", "red", "--clip", clip_, "--db", library}),
              HasSubstr("another CLIP"));
}

TEST_F(QuantizeClipCommand, TakesItsSamplesFromTheUser) {
  const json report = Json(
      Command({"--pictures", pictures_, "--most-pictures", "2", "--text", "-", "--json"}),
      "red shoes\n\na very long text that goes on for more words than the encoder has places\n");
  EXPECT_EQ(report.at("pictures"), 2);
  EXPECT_EQ(report.at("texts"), 2);
  EXPECT_THAT(Output({"info", out_}), HasSubstr("of 2 pictures and 2 texts"));
  Output(Command({"--pictures", pictures_, "--ranges", "mse", "--per-tensor"}));
  EXPECT_THAT(Output({"info", out_}), HasSubstr("ranges: least squares"));
}

TEST_F(QuantizeClipCommand, LeavesOutPhotosThatCannotBeRead) {
  Write("pictures/broken.jpg", "not a picture");
  const Outcome outcome = Run(Command({"--pictures", pictures_, "--json"}));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(json::parse(outcome.out).at("pictures"), 6);
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("left out"), HasSubstr("broken.jpg")));
}

TEST_F(QuantizeClipCommand, RefusesWhatItCannotDoAndLeavesNoFile) {
  EXPECT_THAT(Refusal(kUsage, Command({})), HasSubstr("folder of pictures"));
  EXPECT_THAT(Refusal(kUsage, Command({"--text", Write("texts.txt", "red")})),
              HasSubstr("--pictures"));
  EXPECT_THAT(Refusal(kUsage, Command({"--pictures", pictures_, "--smooth", "0.5"})),
              HasSubstr("--pictures"));
  EXPECT_THAT(Refusal(kUsage, Command({"--pictures", pictures_, "--scheme", "int8"})),
              HasSubstr("scheme"));
  EXPECT_THAT(Refusal(kUsage, Command({"--pictures", pictures_, "--text", Write("no.txt", "\n")})),
              HasSubstr("no text"));
  EXPECT_THAT(Refusal(kUsage, Command({"--pictures", pictures_, "--text", Write("none.txt", "")})),
              HasSubstr("text is empty"));
  EXPECT_THAT(Refusal(kUsage, {"quantize", "-o", out_, "--pictures", pictures_}), HasSubstr("-m"));
  EXPECT_THAT(Refusal(kFailed, Command({"--pictures", Path("none")})), HasSubstr("none"));
  fs::create_directories(Path("empty"));
  EXPECT_THAT(Refusal(kFailed, Command({"--pictures", Path("empty")})), HasSubstr("no photo"));
  EXPECT_THAT(Refusal(kFailed, {"quantize", "-m", Model(), "-o", out_, "--pictures", pictures_}),
              HasSubstr("no CLIP model"));
  EXPECT_THAT(Files(), Not(Contains("clip.w8a8.gguf")));
  Output(Command({"--pictures", pictures_}));
  EXPECT_THAT(
      Refusal(kUsage, {"quantize", "-m", out_, "-o", Path("twice.gguf"), "--pictures", pictures_}),
      HasSubstr("already"));
}

}  // namespace
}  // namespace ondine::testing
