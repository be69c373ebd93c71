#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>

#include "base/temp_dir.h"
#include "images/class_file.h"
#include "images/class_folders.h"
#include "images/tiny_clip.h"
#include "ondine/images.h"

namespace ondine {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Vector = std::vector<float>;

class PhotoClassesTest : public ::testing::Test {
 protected:
  PhotoClassesTest() { clip_ = LoadTiny(1); }

  std::unique_ptr<Clip> LoadTiny(std::uint32_t seed) const {
    const std::string path = folder_.File("tiny.gguf");
    EXPECT_TRUE(
        testing::TinyClip(models::ClipActivation::kQuickGelu, seed).WriteGguf(path).has_value());
    return *Clip::Load(path, 2);
  }
  Vector Encode(const std::string& query) { return clip_->EncodeQuery(query)->vector; }

  // Classes whose photos lie where their texts would with a strength on one word. A photo is a bit
  // of each of several vectors, so that photos of a class differ.
  std::vector<ClassExamples> Examples() {
    return {{"shoes", "a red shoe or", {Encode("a (red:6) shoe or"), Encode("red shoe")}},
            {"shirts", "a red silk", {Encode("a red (silk:6)"), Encode("silk")}},
            {"hats", "a hat", {Encode("a (hat:6)")}}};
  }
  LearnedClasses Learn(const LearnOptions& options = {}) {
    auto learned = LearnClasses(*clip_, Examples(), options);
    EXPECT_TRUE(learned.has_value()) << learned.error().ToString();
    return learned ? *learned : LearnedClasses();
  }
  void ExpectRefused(const std::vector<ClassExamples>& examples, const std::string& reason,
                     const LearnOptions& options = {}) {
    const auto learned = LearnClasses(*clip_, examples, options);
    ASSERT_FALSE(learned.has_value()) << reason;
    EXPECT_EQ(learned.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(learned.error().ToString(), HasSubstr(reason));
  }
  std::string Write(const std::string& text) const {
    const std::string path = folder_.File("classes.json");
    std::ofstream(path) << text;
    return path;
  }
  void ExpectUnreadable(const std::string& text, ErrorCode code) {
    const auto classes = ReadPhotoClasses(Write(text), *clip_);
    ASSERT_FALSE(classes.has_value()) << text;
    EXPECT_EQ(classes.error().code, code) << classes.error().ToString();
    EXPECT_THAT(classes.error().ToString(), HasSubstr("classes.json"));
  }

  const testing::TempDir folder_;
  std::unique_ptr<Clip> clip_;
};

TEST_F(PhotoClassesTest, LearningLowersTheLossAndWritesQueries) {
  const LearnedClasses learned = Learn();
  EXPECT_LT(learned.loss, 0.9 * learned.plain_loss);
  ASSERT_THAT(learned.classes, SizeIs(3));
  EXPECT_EQ(learned.classes[1].name, "shirts");
  const auto query = clip_->EncodeQuery(learned.classes[0].query);
  ASSERT_TRUE(query.has_value());
  ASSERT_THAT(query->words, SizeIs(4));
  EXPECT_EQ(query->words[1].text, "red");
  EXPECT_GT(query->words[1].weight, 1.2);  // what its photos were made with
}

TEST_F(PhotoClassesTest, TheLossIsThatOfTheClassifier) {
  const LearnedClasses learned = Learn({.steps = 30});
  const auto classifier = PhotoClassifier::Create(*clip_, learned.classes);
  ASSERT_TRUE(classifier.has_value());
  const auto examples = Examples();
  double loss = 0, accuracy = 0;
  for (std::size_t own = 0; own < examples.size(); ++own) {
    for (const Vector& photo : examples[own].photos) {
      const auto shares = classifier->Probabilities(photo);
      EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12);
      const double weight = 1.0 / static_cast<double>(3 * examples[own].photos.size());
      loss -= weight * std::log(shares[own]);
      if (std::ranges::max(shares) == shares[own]) accuracy += weight;
    }
  }
  EXPECT_NEAR(loss, learned.loss, 1e-5);
  EXPECT_NEAR(accuracy, learned.accuracy, 1e-9);
}

TEST_F(PhotoClassesTest, AStrongPullKeepsStrengthsNearOne) {
  const auto spread = [&](double pull) {
    double sum = 0;
    for (const PhotoClass& one : Learn({.pull = pull}).classes) {
      const auto query = clip_->EncodeQuery(one.query);
      for (const auto& word : query->words) {
        sum += std::pow(std::log(word.weight), 2);
      }
    }
    return sum;
  };
  EXPECT_LT(spread(1), 0.2 * spread(0));
}

TEST_F(PhotoClassesTest, LearningIsTheSameEachTime) {
  const auto once = Learn({.steps = 20}).classes, again = Learn({.steps = 20}).classes;
  for (std::size_t i = 0; i < once.size(); ++i) EXPECT_EQ(once[i].query, again[i].query);
}

TEST_F(PhotoClassesTest, MarkupInTextsIsText) {
  auto examples = Examples();
  examples[0].text = "shoe (red) [x] -y";
  const auto learned = LearnClasses(*clip_, examples, {.steps = 5});
  ASSERT_TRUE(learned.has_value());
  const auto query = clip_->EncodeQuery(learned->classes[0].query);
  ASSERT_TRUE(query.has_value()) << learned->classes[0].query;
  EXPECT_THAT(query->unwanted, SizeIs(0));
  std::string text;
  for (const auto& word : query->words) text += word.text + " ";
  EXPECT_EQ(text, "shoe ( red ) [ x ] - y ");
}

TEST_F(PhotoClassesTest, LongTextsAreCutBehindAWordAndSaySo) {
  ASSERT_EQ(clip_->info().longest_text, 10);
  auto examples = Examples();
  examples[2].text = "red red red red red red red red hats red";  // 8 tokens, and 4 of "hats"
  const auto learned = LearnClasses(*clip_, examples, {.steps = 2});
  ASSERT_TRUE(learned.has_value());
  EXPECT_THAT(learned->notes, SizeIs(1));
  const auto query = clip_->EncodeQuery(learned->classes[2].query);
  EXPECT_THAT(query->words, SizeIs(8));
  examples[2].text = "abcdefghijklmnop";
  ExpectRefused(examples, "'hats' is no words");
}

TEST_F(PhotoClassesTest, WhatMakesNoSenseIsRefused) {
  const auto good = Examples();
  ExpectRefused({}, "two or more");
  ExpectRefused({good[0]}, "two or more");
  ExpectRefused({good[0], good[0]}, "two classes are called 'shoes'");
  auto bad = good;
  bad[1].photos.clear();
  ExpectRefused(bad, "'shirts' has no photos");
  bad = good;
  bad[1].text = " ";
  ExpectRefused(bad, "'shirts' has no text");
  bad = good;
  bad[2].photos[0].pop_back();
  ExpectRefused(bad, "another length");
  ExpectRefused(good, "learning rate", {.learning_rate = std::nan("")});
  ExpectRefused(good, "steps", {.steps = 0});
}

TEST_F(PhotoClassesTest, CanBeStopped) {
  LearnOptions options;
  options.progress = [&](int step, double) {
    if (step == 3) options.stop.Stop();
  };
  const auto learned = LearnClasses(*clip_, Examples(), options);
  ASSERT_FALSE(learned.has_value());
  EXPECT_EQ(learned.error().code, ErrorCode::kCancelled);
}

TEST_F(PhotoClassesTest, FilesGiveBackWhatWasWritten) {
  const std::vector<PhotoClass> classes = {{"shoe \"1\"", "a (red:1.5) \\(shoe\\)"},
                                           {"h\xc3\xbct", "hat"}};
  const std::string path = folder_.File("classes.json");
  ASSERT_TRUE(WritePhotoClasses(path, classes, *clip_).has_value());
  const auto read = ReadPhotoClasses(path, *clip_);
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  ASSERT_THAT(*read, SizeIs(2));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*read)[i].name, classes[i].name);
    EXPECT_EQ((*read)[i].query, classes[i].query);
  }
  const auto other = LoadTiny(2);
  const auto mismatch = ReadPhotoClasses(path, *other);
  ASSERT_FALSE(mismatch.has_value());
  EXPECT_EQ(mismatch.error().code, ErrorCode::kMismatch);
}

TEST_F(PhotoClassesTest, FilesMayBeWrittenByHand) {
  const auto read = ReadPhotoClasses(Write(R"({"format": "ondine photo classes", "version": 1,
                "classes": [{"name": "a", "query": "(red:2) shoe"}]})"),
                                     *clip_);
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  EXPECT_EQ(read->front().query, "(red:2) shoe");
}

TEST_F(PhotoClassesTest, DamagedFilesAreRefused) {
  ExpectUnreadable("", ErrorCode::kCorrupt);
  ExpectUnreadable("[1]", ErrorCode::kCorrupt);
  ExpectUnreadable(R"({"format": 3})", ErrorCode::kCorrupt);
  const std::string head = R"({"format": "ondine photo classes", "version": )";
  ExpectUnreadable(head + R"(2, "classes": []})", ErrorCode::kUnsupported);
  ExpectUnreadable(head + R"(1, "classes": []})", ErrorCode::kCorrupt);
  ExpectUnreadable(head + R"(1, "classes": [7]})", ErrorCode::kCorrupt);
  ExpectUnreadable(head + R"(1, "classes": [{"name": "a"}]})", ErrorCode::kCorrupt);
  ExpectUnreadable(head + R"(1, "clip": 7, "classes": [{"name": "a", "query": "b"}]})",
                   ErrorCode::kCorrupt);
}

TEST_F(PhotoClassesTest, AClassifierNamesTheClassWhoseQueryIsNone) {
  const auto classifier = PhotoClassifier::Create(*clip_, {{"a", "shoe"}, {"b", "(shoe"}});
  ASSERT_FALSE(classifier.has_value());
  EXPECT_THAT(classifier.error().ToString(), HasSubstr("class 'b'"));
  EXPECT_FALSE(PhotoClassifier::Create(*clip_, {}).has_value());
  EXPECT_FALSE(PhotoClassifier::Create(*clip_, {{"a", "x"}, {"a", "y"}}).has_value());
}

TEST_F(PhotoClassesTest, FoldersAreClasses) {
  namespace fs = std::filesystem;
  for (const char* name : {"b/2.jpg", "b/below/1.png", "a/1.jpg", "c/notes.txt", "beside.jpg"}) {
    fs::create_directories(fs::path(folder_.File(name)).parent_path());
    std::ofstream(folder_.File(name)) << "x";
  }
  const auto classes = images::FindClassFolders(folder_.path(), {});
  ASSERT_TRUE(classes.has_value());
  ASSERT_THAT(*classes, SizeIs(3));
  EXPECT_EQ((*classes)[0].name, "a");
  EXPECT_EQ((*classes)[1].name, "b");
  EXPECT_EQ((*classes)[2].name, "c");
  EXPECT_THAT((*classes)[2].photos, IsEmpty());
  EXPECT_THAT((*classes)[1].photos, SizeIs(2));
  EXPECT_THAT((*classes)[1].photos, Each(HasSubstr("/b/")));
}

TEST(ClassTexts, MayBeDescriptions) {
  const auto texts = images::ParseClassTexts(
      R"({"polo_shirt": ["with a collar", "of cotton"], "hat": "a photo of a hat"})");
  ASSERT_TRUE(texts.has_value());
  EXPECT_EQ(texts->at("polo_shirt"), "a photo of a polo shirt, with a collar, of cotton");
  EXPECT_EQ(texts->at("hat"), "a photo of a hat");
  EXPECT_FALSE(images::ParseClassTexts(R"({"a": 3})").has_value());
  EXPECT_FALSE(images::ParseClassTexts(R"({"a": [3]})").has_value());
  EXPECT_FALSE(images::ParseClassTexts("[]").has_value());
}

}  // namespace
}  // namespace ondine
