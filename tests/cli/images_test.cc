// Photo libraries from the command line.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "cli/program.h"
#include "images/test_pictures.h"
#include "images/tiny_clip.h"

namespace ondine::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kFailed = 1, kUsage = 2;

class ImagesCommand : public ProgramTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TinyClip().WriteGguf(clip_));
    fs::create_directories(Path("photos/below"));
    Write("photos/red.png", PlainPicture(8, 8, {200, 0, 0}));
    Write("photos/blue.png", PlainPicture(8, 8, {0, 0, 200}));
    Write("photos/below/green.png", PlainPicture(8, 8, {0, 200, 0}));
  }

  std::vector<std::string> Index(const std::string& folder = "photos") const {
    return {"images", "index", Path(folder), "--clip", clip_, "--db", library_, "--json"};
  }
  std::vector<std::string> Search(const std::string& query,
                                  const std::vector<std::string>& more = {"--json"}) const {
    std::vector<std::string> command = {"images", "search", query,   "--clip",
                                        clip_,    "--db",   library_};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  const std::string clip_ = Path("clip.gguf"), library_ = Path("photos.db");
};

TEST_F(ImagesCommand, IndexSaysWhatThereIsAndWhatChanged) {
  Write("photos/broken.jpg", "not a picture");
  json report = Json(Index());
  EXPECT_EQ(report.at("photos"), 3);
  EXPECT_EQ(report.at("added"), 3);
  ASSERT_EQ(report.at("broken").size(), 1u);
  EXPECT_THAT(report.at("broken")[0].at("path").get<std::string>(), HasSubstr("broken.jpg"));
  fs::rename(Path("photos/red.png"), Path("photos/below/r.png"));
  fs::remove(Path("photos/blue.png"));
  report = Json(Index());
  EXPECT_EQ(report.at("unchanged"), 1);
  EXPECT_EQ(report.at("moved"), 1);
  EXPECT_EQ(report.at("removed"), 1);
  EXPECT_EQ(report.at("added"), 0);
}

TEST_F(ImagesCommand, SearchPrintsTheKeysOfTheContract) {
  Json(Index());
  const json found = Json(Search("a (red:4) [shoe]"));
  ASSERT_EQ(found.at("results").size(), 3u);
  double last = 1;
  for (const json& result : found.at("results")) {
    EXPECT_TRUE(fs::exists(result.at("path").get<std::string>()));
    EXPECT_LE(result.at("score"), last);
    last = result.at("score");
  }
  ASSERT_EQ(found.at("words").size(), 3u);
  EXPECT_EQ(found.at("words")[1].at("text"), "red");
  EXPECT_EQ(found.at("words")[1].at("weight"), 4);
  EXPECT_GT(found.at("milliseconds"), 0);
  EXPECT_EQ(Json(Search("red", {"--json", "--top", "1"})).at("results").size(), 1u);
  EXPECT_EQ(Json(Search("red", {"--json", "--min-score", "1.1"})).at("results").size(), 0u);
  EXPECT_EQ(Json(Search("red", {"--json", "--folder", Path("photos/below")})).at("results").size(),
            1u);
  EXPECT_EQ(Json(Search("red", {"--json", "--from", "2020-01-01"})).at("results").size(), 0u);
}

TEST_F(ImagesCommand, StrengthsOfOneChangeNothing) {
  Json(Index());
  EXPECT_EQ(Json(Search("a (red:1) (shoe:1.0)")).at("results"),
            Json(Search("a red shoe")).at("results"));
}

TEST_F(ImagesCommand, NoPhotoIsReplaced) {
  const std::string photo = base::ReadFile(Path("photos/red.png")).value();
  const std::vector<std::vector<std::string>> commands = {
      Search("red", {"--sheet", Path("photos/red.png")}),
      {"images", "learn", Path("photos"), "--clip", clip_, "-o", Path("photos/red.png")},
      {"quantize", "-m", clip_, "--pictures", Path("photos"), "-o", Path("photos/red.png")}};
  for (const auto& command : commands) {
    EXPECT_THAT(Refusal(kUsage, command), HasSubstr("is a photo"));
  }
  EXPECT_EQ(base::ReadFile(Path("photos/red.png")).value(), photo);
}

TEST_F(ImagesCommand, ExplainsAQuery) {
  Json(Index());
  EXPECT_THAT(Output(Search("a (red:2) shoe -laces", {"--explain"})),
              AllOf(HasSubstr("a (red:2) shoe -(laces:1)"), HasSubstr("red"),
                    HasSubstr("subtracted: laces"), HasSubstr("without strengths")));
  const json found = Json(Search("a (red:2) shoe", {"--explain", "--json"}));
  EXPECT_GT(found.at("words")[1].at("share"), found.at("words")[1].at("share_plain"));
  EXPECT_TRUE(found.at("results")[0].at("plain_rank").is_number());
  EXPECT_LT(found.at("plain_similarity"), 1);
}

TEST_F(ImagesCommand, ForgetsPhotosOfAFolderThatIsGone) {
  Json(Index());
  fs::remove_all(Path("photos/below"));
  Refusal(kFailed, Index("photos/below"));  // its disk may only be away
  EXPECT_EQ(Json(Search("red")).at("results").size(), 3u);
  const std::vector<std::string> forget = {"images", "forget", Path("photos/below/"),
                                           "--db",   library_, "--json"};
  EXPECT_EQ(Json(forget).at("removed"), 1);
  EXPECT_EQ(Json(Search("red")).at("results").size(), 2u);
  EXPECT_EQ(Json(forget).at("removed"), 0);
  EXPECT_THAT(Refusal(kFailed, {"images", "forget", Path("photos"), "--db", Path("none.db")}),
              HasSubstr("no such photo library"));
  EXPECT_FALSE(fs::exists(Path("none.db")));
}

TEST_F(ImagesCommand, OutputsDoNotReplaceWhatIsRead) {
  Json(Index());
  for (const std::string& file : {library_, clip_}) {
    EXPECT_THAT(Refusal(kUsage, Search("red", {"--sheet", file})), HasSubstr("two purposes"));
  }
  EXPECT_EQ(Json(Search("red")).at("results").size(), 3u);
}

TEST_F(ImagesCommand, NamesThatSqliteKnowsAreFilesToo) {
  Refusal(kUsage, {"images", "index", Path("photos"), "--clip", clip_, "--db", ""});
  const fs::path before = fs::current_path();
  fs::current_path(Path("photos"));
  for (const char* name : {":memory:", "file:x.db?mode=memory"}) {
    Json({"images", "index", "below", "--clip", clip_, "--db", name, "--json"});
    EXPECT_TRUE(fs::exists(name)) << name;
  }
  fs::current_path(before);
}

TEST_F(ImagesCommand, NoResultsAreSaid) {
  Json(Index());
  EXPECT_THAT(Run(Search("red", {"--min-score", "1.1"})).error, HasSubstr("no photo"));
}

TEST_F(ImagesCommand, WritesAContactSheet) {
  Json(Index());
  const std::string sheet = Path("sheet.html");
  Output(Search("a (red:2) shoe", {"--sheet", sheet}));
  const std::string html = base::ReadFile(sheet).value();
  EXPECT_THAT(html, HasSubstr("<h1>a (red:2) shoe</h1>"));
  EXPECT_THAT(html, HasSubstr("/red.png</figcaption>"));
}

TEST_F(ImagesCommand, PrintsVectorsOfLengthOne) {
  const auto length = [](const json& record) {
    double squares = 0;
    for (const json& value : record.at("vector")) squares += std::pow(value.get<double>(), 2);
    return std::sqrt(squares);
  };
  const json query = Json({"images", "search", "a (red:2) shoe", "--clip", clip_, "--vector"});
  EXPECT_EQ(query.at("vector").size(), 24u);
  EXPECT_NEAR(length(query), 1, 1e-5);
  const json encoded = Json({"images", "encode", "a (red:2) shoe", "--clip", clip_});
  EXPECT_EQ(encoded.at("vector"), query.at("vector"));
  const json picture =
      Json({"images", "encode", "--clip", clip_, "--picture", Path("photos/red.png")});
  EXPECT_NEAR(length(picture), 1, 1e-5);
}

TEST_F(ImagesCommand, BadInputIsRefusedInOneLine) {
  Json(Index());
  for (const char* query :
       {"", "a (red", "a (red:-1) shoe", "a (red:nan) shoe", "a (red:1e99) shoe", "-red"}) {
    Refusal(kUsage, Search(query));
  }
  for (const char* day : {"yesterday", "2021-262-286", "67557-06-30", "2021-02-30", "2021-6-0"}) {
    EXPECT_THAT(Refusal(kUsage, Search("red", {"--from", day})), HasSubstr(day));
  }
  Refusal(kUsage, {"images", "forget", "", "--db", library_});
  fs::create_directories(Path("none"));
  EXPECT_THAT(Refusal(kFailed, Index("none")), HasSubstr("no photo"));
  Refusal(kFailed, Index("not there"));
  fs::resize_file(clip_, 4000);
  EXPECT_THAT(Refusal(kFailed, Search("red")), HasSubstr("clip.gguf"));
}

TEST_F(ImagesCommand, ALibraryOfAnotherClipIsRefused) {
  Json(Index());
  ASSERT_TRUE(TinyClip(models::ClipActivation::kGelu, 5).WriteGguf(clip_));
  EXPECT_THAT(Refusal(kFailed, Search("red")), HasSubstr("another CLIP"));
  Refusal(kFailed, Index());
  EXPECT_THAT(Refusal(kUsage, {"images", "search", "red", "--clip", clip_, "--db", clip_}),
              HasSubstr("two purposes"));
}

class ClassesCommand : public ImagesCommand {
 protected:
  void SetUp() override {
    ImagesCommand::SetUp();
    for (const auto& [name, colour] : {std::pair{"red_things", std::vector<int>{200, 0, 0}},
                                       std::pair{"blue", std::vector<int>{0, 0, 200}}}) {
      fs::create_directories(Path("examples/" + std::string(name)));
      Write("examples/" + std::string(name) + "/1.png", PlainPicture(8, 8, colour));
    }
  }
  std::vector<std::string> Learn(const std::vector<std::string>& more = {"--json"}) const {
    std::vector<std::string> command = {"images", "learn", Path("examples"), "--clip",
                                        clip_,    "-o",    classes_};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  std::vector<std::string> Classify(const std::vector<std::string>& photos) const {
    std::vector<std::string> command = {"images", "classify", "--classes",
                                        classes_, "--clip",   clip_};
    command.insert(command.end(), photos.begin(), photos.end());
    return command;
  }
  const std::string classes_ = Path("classes.json");
};

TEST_F(ClassesCommand, LearnsAndClassifies) {
  Write("examples/blue/broken.jpg", "not a picture");
  Write("texts.json", R"({"blue": "blue", "red_things": "red shoe"})");
  const json learned = Json(Learn({"--texts", Path("texts.json"), "--json"}));
  ASSERT_EQ(learned.at("classes").size(), 2u);
  EXPECT_EQ(learned.at("classes")[1].at("name"), "red_things");
  ASSERT_EQ(learned.at("classes")[1].at("words").size(), 2u);
  EXPECT_EQ(learned.at("classes")[1].at("words")[0].at("text"), "red");
  EXPECT_GT(learned.at("classes")[1].at("words")[0].at("weight"), 0);
  EXPECT_EQ(learned.at("classes")[0].at("photos"), 1);
  EXPECT_EQ(learned.at("broken").size(), 1u);
  EXPECT_LT(learned.at("loss"), learned.at("plain_loss"));

  // A photo and a folder: together those that were learned from.
  const json found =
      Json(Classify({Path("examples/red_things/1.png"), Path("examples/blue"), "--json"}))
          .at("photos");
  ASSERT_EQ(found.size(), 2u);
  double loss = 0;
  for (const auto& [photo, own] : {std::pair{0, "red_things"}, std::pair{1, "blue"}}) {
    const json& shares = found[static_cast<std::size_t>(photo)].at("probabilities");
    EXPECT_NEAR(shares.at("blue").get<double>() + shares.at("red_things").get<double>(), 1, 1e-9);
    loss -= std::log(shares.at(own).get<double>()) / 2;
  }
  EXPECT_NEAR(loss, learned.at("loss").get<double>(), 1e-4);
  const std::string line = Output(Classify({Path("photos/blue.png")}));
  EXPECT_THAT(line, HasSubstr("photos/blue.png\n"));
  // Of a folder what can be read; a file that is named must be.
  EXPECT_EQ(Run(Classify({Path("examples/blue")})).code, 0);
  const Outcome named = Run(Classify({Path("examples/blue/broken.jpg"), Path("photos/blue.png")}));
  EXPECT_EQ(named.code, kFailed);
  EXPECT_THAT(named.out, HasSubstr("blue.png"));
}

TEST_F(ClassesCommand, ClassesWithoutTextAreCalledByTheirFolder) {
  const json learned = Json(Learn({"--steps", "3", "--json"}));
  EXPECT_EQ(learned.at("classes")[0].at("words")[0].at("text"), "a");
  EXPECT_EQ(learned.at("classes")[0].at("words")[1].at("text"), "photo");
}

TEST_F(ClassesCommand, FoldersWithoutPhotosAreNamed) {
  fs::create_directories(Path("examples/empty\none"));
  const Outcome outcome = Run(Learn({"--steps", "3"}));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.error, HasSubstr("empty\\x0aone"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("empty")));
}

TEST_F(ClassesCommand, TextsOfClassesThatAreNotThereAreNamed) {
  Write("texts.json", R"({"blue": "blue", "green": "grass"})");
  const Outcome outcome = Run(Learn({"--texts", Path("texts.json"), "--steps", "3"}));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.error, AllOf(HasSubstr("'green'"), Not(HasSubstr("'blue'"))));
}

TEST_F(ClassesCommand, BadInputIsRefusedInOneLine) {
  EXPECT_THAT(
      Refusal(kFailed, {"images", "learn", Path("photos/below"), "--clip", clip_, "-o", classes_}),
      HasSubstr("no folders with photos"));
  EXPECT_THAT(Refusal(kFailed, Classify({Path("photos/red.png")})), HasSubstr("classes.json"));
  Write("texts.json", "{");
  EXPECT_THAT(Refusal(kFailed, Learn({"--texts", Path("texts.json")})), HasSubstr("texts.json"));
  fs::remove_all(Path("examples/blue"));
  EXPECT_THAT(Refusal(kUsage, Learn({})), HasSubstr("two or more"));
  EXPECT_FALSE(fs::exists(classes_));
}

TEST_F(ImagesCommand, ConvertsACheckpoint) {
  fs::create_directories(Path("checkpoint"));
  TinyClip().WriteTransformers(Path("checkpoint"));
  const json report = Json(
      {"convert-clip", Path("checkpoint"), "-o", Path("made.gguf"), "--json", "--type", "f32"});
  EXPECT_EQ(report.at("vector_length"), 24);
  EXPECT_EQ(report.at("picture_size"), 32);
  EXPECT_EQ(Json({"images", "encode", "red", "--clip", Path("made.gguf")}),
            Json({"images", "encode", "red", "--clip", clip_}));
  fs::remove(Path("checkpoint/model.safetensors"));
  EXPECT_THAT(Refusal(kFailed, {"convert-clip", Path("checkpoint"), "-o", Path("other.gguf")}),
              HasSubstr("model.safetensors"));
  EXPECT_FALSE(fs::exists(Path("other.gguf")));
}

}  // namespace
}  // namespace ondine::testing
