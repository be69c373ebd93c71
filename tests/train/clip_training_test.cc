#include "train/clip_training.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/file.h"
#include "base/temp_dir.h"
#include "train/clip_fixture.h"
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
