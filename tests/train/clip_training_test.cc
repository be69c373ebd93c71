#include "train/clip_training.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "base/file.h"
#include "base/temp_dir.h"
#include "images/query_text.h"
#include "text/weighted_prompt.h"
#include "train/clip_file.h"
#include "train/clip_fixture.h"
#include "train/clip_twin.h"
#include "train/clip_validation.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;
using train::ClipTrainingObserver;
using train::ClipTrainingOptions;
using train::TrainedClip;

ClipTrainingOptions SmallTraining() {
  ClipTrainingOptions options;
  options.learning_rate = 3e-3;
  options.epochs = 3;
  options.batch = 16;
  options.threads = 1;
  return options;
}

Result<TrainedClip> TrainTiny(const ClipTrainingOptions& options,
                              const ClipTrainingObserver& observer = {}, int photos = 64,
                              const models::ClipSpec& spec = TinyClipSpec()) {
  return TrainClip(spec, TinyClipTokenizer(), ColouredPhotos(photos, 10, 1),
                   ColouredPhotos(40, 8, 2), options, observer);
}

std::vector<float> Values(const TrainedClip& trained) {
  std::vector<float> values = {trained.spec.logit_scale};
  for (const train::TrainedWeight& weight : trained.weights) {
    values.insert(values.end(), weight.values.begin(), weight.values.end());
  }
  return values;
}

TEST(ClipTraining, LearnsColoursAndTypes) {
  std::vector<double> losses;
  std::vector<train::ClipScores> scores;
  ClipTrainingObserver observer;
  observer.on_step = [&](const train::ClipStepReport& report) { losses.push_back(report.loss); };
  observer.on_validation = [&](std::int64_t, const train::ClipScores& s) { scores.push_back(s); };
  ClipTrainingOptions options = SmallTraining();
  options.epochs = 12;
  options.full_share = 0.5;
  const auto trained = TrainTiny(options, observer, 256);
  ASSERT_TRUE(trained) << trained.error().ToString();
  ASSERT_EQ(losses.size(), 12u * 16);
  EXPECT_LT(losses.back(), 0.8 * losses.front());
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_GT(scores[1].colour.accuracy, 0.9);
  EXPECT_GT(scores[1].colour.balanced, 0.9);
  EXPECT_GT(scores[1].type.accuracy, 0.9);
  EXPECT_LT(scores[0].colour.accuracy, 0.6);
  EXPECT_GT(scores[1].photos_by_name[0], 0.8);  // of ten names
  EXPECT_EQ(scores[1].gender.accuracy, 0);      // which none of them has
}

TEST(ClipTraining, GoesOnWhereItStopped) {
  const TempDir folder;
  ClipTrainingOptions options = SmallTraining();
  options.checkpoint = folder.File("checkpoint");
  const auto whole = TrainTiny(options);
  ASSERT_TRUE(whole) << whole.error().ToString();

  ClipTrainingObserver observer;
  observer.on_step = [&](const train::ClipStepReport& report) {
    if (report.step == 5) observer.stop_token.Stop();
  };
  const auto stopped = TrainTiny(options, observer);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  options.resume = true;
  int steps = 0;
  ClipTrainingObserver counter;
  counter.on_step = [&](const train::ClipStepReport&) { ++steps; };
  const auto resumed = TrainTiny(options, counter);
  ASSERT_TRUE(resumed) << resumed.error().ToString();
  EXPECT_EQ(steps, 7);
  EXPECT_EQ(Values(*resumed), Values(*whole));
}

// Of all that decides the result, and of nothing else.
TEST(ClipTraining, ACheckpointIsOfOneTraining) {
  const TempDir folder;
  ClipTrainingOptions made = SmallTraining();
  made.max_steps = 1;
  made.checkpoint = folder.File("checkpoint");
  ASSERT_TRUE(TrainTiny(made));
  made.resume = true;
  const auto difference = [&](const std::function<void(ClipTrainingOptions&)>& change,
                              int photos = 64, const models::ClipSpec& spec = TinyClipSpec()) {
    ClipTrainingOptions options = made;
    change(options);
    const auto trained = TrainTiny(options, {}, photos, spec);
    if (trained) return std::string();
    EXPECT_EQ(trained.error().code, ErrorCode::kMismatch);
    return trained.error().message;
  };
  const auto nothing = [](ClipTrainingOptions&) {};
  EXPECT_THAT(difference([](auto& o) { o.keep_patches = 1; }), HasSubstr("keep-patches 1"));
  EXPECT_THAT(difference([](auto& o) { o.full_share = 1; }), HasSubstr("full-share 1"));
  EXPECT_THAT(difference([](auto& o) { o.batch = 8; }), HasSubstr("batch 8"));
  EXPECT_THAT(difference([](auto& o) { o.bfloat16 = true; }), HasSubstr("dtype bfloat16"));
  EXPECT_THAT(difference([](auto& o) { o.seed = 2; }), HasSubstr("seed 2"));
  EXPECT_THAT(difference(nothing, 65), HasSubstr("data "));
  models::ClipSpec wider = TinyClipSpec();
  wider.image.width = 64;
  EXPECT_THAT(difference(nothing, 64, wider), HasSubstr("width 64"));
  EXPECT_EQ(difference([](auto& o) { o.validate_every = 1; }), "");
}

TEST(ClipTraining, BadOptionsAreErrors) {
  const auto refusal = [](const std::function<void(ClipTrainingOptions&)>& change,
                          const models::ClipSpec& spec = TinyClipSpec()) {
    ClipTrainingOptions options = SmallTraining();
    change(options);
    const auto trained = TrainTiny(options, {}, 64, spec);
    EXPECT_FALSE(trained);
    if (trained) return std::string();
    EXPECT_EQ(trained.error().code, ErrorCode::kInvalidArgument);
    return trained.error().message;
  };
  const auto nothing = [](ClipTrainingOptions&) {};
  EXPECT_THAT(refusal([](auto& o) { o.device = "abacus"; }), HasSubstr("abacus"));
  EXPECT_THAT(refusal([](auto& o) { o.batch = 0; }), HasSubstr("batch"));
  EXPECT_THAT(refusal([](auto& o) { o.keep_patches = 0; }), HasSubstr("patches"));
  EXPECT_THAT(refusal([](auto& o) { o.resume = true; }), HasSubstr("checkpoint"));
  models::ClipSpec spec = TinyClipSpec();
  spec.patch_size = 3;
  EXPECT_THAT(refusal(nothing, spec), HasSubstr("patches"));
  spec = TinyClipSpec();
  spec.text.heads = 5;
  EXPECT_THAT(refusal(nothing, spec), HasSubstr("head"));
  spec = TinyClipSpec();
  spec.image_size = 12;
  EXPECT_THAT(refusal(nothing, spec), HasSubstr("size"));
}

// What is trained first, plainly, and then taught strengths.
class ClipStrengthsTest : public ::testing::Test {
 protected:
  ClipStrengthsTest() {
    ClipTrainingOptions options = SmallTraining();
    options.epochs = 12;
    options.full_share = 0.5;
    auto trained = TrainTiny(options, {}, 256);
    EXPECT_TRUE(trained) << trained.error().ToString();
    first_ = std::move(*trained);
    EXPECT_TRUE(train::WriteClip(first_, TinyClipVocabulary(), "", formats::TensorType::kF32,
                                 folder_.File("clip.gguf")));
    options_.start = folder_.File("clip.gguf");
    options_.texts_only = true;
    options_.strengths = 1;
    options_.epochs = 20;
  }
  Result<TrainedClip> Teach(const ClipTrainingObserver& observer = {}) const {
    return TrainClip(TinyClipSpec(), TinyClipTokenizer(), ColouredPhotos(256, 8, 1),
                     ColouredPhotos(40, 8, 2), options_, observer);
  }

  // How much nearer to the text red belts are than blue shirts: the difference of mean cosines.
  double Preference(const TrainedClip& clip, const std::string& query) const {
    const std::string path = folder_.File("asked.gguf");
    EXPECT_TRUE(train::WriteClip(clip, TinyClipVocabulary(), "", formats::TensorType::kF32, path));
    const auto file = formats::GgufFile::Open(path);
    const auto twin = train::ClipTwin::Load(*file, torch::kCPU);
    EXPECT_TRUE(twin) << twin.error().ToString();
    const auto prompt = text::ParseWeightedPrompt(query);
    const text::ClipTokenizer tokenizer = TinyClipTokenizer();
    const auto tokens = tokenizer.Encode(prompt->text);
    const images::TowerInput input =
        images::MakeInput(tokenizer, tokens, text::TokenWeights(*prompt, tokens));
    const torch::NoGradGuard no_gradient;
    const torch::Tensor vector =
        twin->EncodeTexts({input.ids}, torch::tensor(input.log_weights).unsqueeze(0));
    const train::PhotoSet photos = ColouredPhotos(100, 8, 3);
    const torch::Tensor cosines = torch::matmul(train::PhotoVectors(*twin, photos, {}), vector[0]);
    double belts = 0, shirts = 0;
    int belt_count = 0, shirt_count = 0;
    for (std::size_t i = 0; i < photos.items.size(); ++i) {
      const std::string& name = photos.items[i].name;
      const double cosine = cosines[static_cast<std::int64_t>(i)].item<double>();
      if (name == "Acme Red Belts") belts += cosine, ++belt_count;
      if (name == "Acme Blue Shirts") shirts += cosine, ++shirt_count;
    }
    return belts / belt_count - shirts / shirt_count;
  }

  const TempDir folder_;
  TrainedClip first_;
  ClipTrainingOptions options_ = SmallTraining();
};

TEST_F(ClipStrengthsTest, TheTextTowerLearnsThemAndTheImageTowerStays) {
  std::vector<double> losses;
  std::vector<train::ClipScores> scores;
  ClipTrainingObserver observer;
  observer.on_step = [&](const train::ClipStepReport& report) {
    losses.push_back(report.strength_loss);
  };
  observer.on_validation = [&](std::int64_t, const train::ClipScores& s) { scores.push_back(s); };
  const auto taught = Teach(observer);
  ASSERT_TRUE(taught) << taught.error().ToString();
  const auto mean = [](auto begin, auto end) {
    return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
  };
  EXPECT_LT(mean(losses.end() - 16, losses.end()), 0.6 * mean(losses.begin(), losses.begin() + 16));
  EXPECT_GT(scores.back().colour.accuracy, 0.9);
  EXPECT_GT(scores.back().photos_by_name[0], 0.8);

  EXPECT_EQ(taught->spec.logit_scale, first_.spec.logit_scale);
  ASSERT_EQ(taught->weights.size(), first_.weights.size());
  for (std::size_t i = 0; i < first_.weights.size(); ++i) {
    const train::TrainedWeight &before = first_.weights[i], &after = taught->weights[i];
    ASSERT_EQ(after.name, before.name);
    const bool text = before.name.starts_with("t.") || before.name == "text_projection.weight";
    EXPECT_EQ(after.values != before.values, text) << before.name;
  }
}

TEST_F(ClipStrengthsTest, GoOnWhereTheyStopped) {
  options_.epochs = 1;
  options_.checkpoint = folder_.File("checkpoint");
  const auto whole = Teach();
  ASSERT_TRUE(whole) << whole.error().ToString();
  ClipTrainingObserver observer;
  observer.on_step = [&](const train::ClipStepReport& report) {
    if (report.step == 7) observer.stop_token.Stop();
  };
  const auto stopped = Teach(observer);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  options_.resume = true;
  int steps = 0;
  ClipTrainingObserver counter;
  counter.on_step = [&](const train::ClipStepReport&) { ++steps; };
  const auto resumed = Teach(counter);
  ASSERT_TRUE(resumed) << resumed.error().ToString();
  EXPECT_EQ(steps, 9);
  EXPECT_EQ(Values(*resumed), Values(*whole));
  options_.strengths = 2;
  const auto other = Teach();
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("strengths 2"));
}

TEST_F(ClipStrengthsTest, TextsAloneNeedAClip) {
  const auto refusal = [&](ErrorCode code) {
    const auto taught = Teach();
    EXPECT_FALSE(taught);
    if (taught) return std::string();
    EXPECT_EQ(taught.error().code, code);
    return taught.error().ToString();
  };
  options_.start.clear();
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument), HasSubstr("already"));
  options_.start = folder_.File("nothing");
  EXPECT_THAT(refusal(ErrorCode::kNotFound), HasSubstr("nothing"));
  options_.start = folder_.File("clip.gguf");
  options_.strengths = -1;
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument), HasSubstr("strengths"));
  options_.strengths = 1;
  first_.spec.resize = models::ResizeMode::kShortest;
  ASSERT_TRUE(train::WriteClip(first_, TinyClipVocabulary(), "", formats::TensorType::kF32,
                               options_.start));
  EXPECT_THAT(refusal(ErrorCode::kUnsupported), HasSubstr("cut"));
}

TEST_F(ClipStrengthsTest, WhatIsStoppedBeforeTheFirstStepHasDoneNone) {
  ClipTrainingObserver observer;
  observer.stop_token.Stop();
  observer.on_validation = [](std::int64_t, const train::ClipScores&) { ADD_FAILURE(); };
  const auto taught = Teach(observer);
  ASSERT_FALSE(taught);
  EXPECT_EQ(taught.error().code, ErrorCode::kCancelled);
}

TEST(ClipValidation, AQueryIsAnsweredByItsBestRightAnswer) {
  // The first query's right answers stand third and fourth, the second's first.
  const torch::Tensor similarities =
      torch::tensor({0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.4}).view({2, 4});
  const torch::Tensor right = torch::tensor({0, 0, 1, 1, 0, 0, 0, 1}).view({2, 4}).to(torch::kBool);
  const train::Recall recall = train::RecallOf(similarities, right);
  EXPECT_EQ(recall[0], 0.5);
  EXPECT_EQ(recall[1], 1);
}

}  // namespace
}  // namespace ondine::testing
