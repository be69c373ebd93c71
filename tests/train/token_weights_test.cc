// Strengths learned with torch, beside those learned with the engine's own gradient.
#include "train/token_weights.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "cli/program.h"
#include "images/test_pictures.h"
#include "images/tiny_clip.h"
#include "models/clip_gradient.h"
#include "train/twin_texts.h"

namespace ondine::testing {
namespace {

using models::ClipActivation;
using models::ClipText;
using ::testing::HasSubstr;

class TokenWeightsTest : public ProgramTest {
 protected:
  void SetUp() override { Save(ClipActivation::kQuickGelu); }
  void Save(ClipActivation activation) {
    ASSERT_TRUE(TinyClip(activation).WriteGguf(clip_).has_value());
  }
  const std::string clip_ = Path("clip.gguf");
};

TEST_F(TokenWeightsTest, TorchAndTheEngineHaveTheSameVectorsAndGradients) {
  const std::vector<std::int32_t> first = {517, 5, 80, 17, 3, 518}, second = {517, 9, 518};
  const std::vector<float> weights = {0, 0.7f, -1.5f, 0, 2, 0}, none(3);
  const std::vector<ClipText> texts = {{first, weights}, {second, none}};
  for (const auto activation : {ClipActivation::kQuickGelu, ClipActivation::kGelu}) {
    Save(activation);
    compute::ThreadPool pool(2);
    const auto file = *formats::GgufFile::Open(clip_);
    const auto engine = *models::Clip::Load(file, pool);
    const auto twin = *train::ClipTwin::Load(file, torch::kCPU);
    train::TwinTexts torch_texts(twin);

    const auto length = static_cast<std::size_t>(engine->spec().projection);
    std::vector<float> vectors(2 * length), expected(2 * length), upstream(2 * length);
    models::ClipPass(engine, pool).EncodeTexts(texts, {}, expected.data());
    torch_texts.Encode(texts, vectors.data());
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      EXPECT_NEAR(vectors[i], expected[i], 1e-5) << i;
      upstream[i] = 10 * std::sin(static_cast<float>(i * i) + 0.3f);
    }

    std::vector<float> gradient(first.size() + second.size()), wanted(gradient.size());
    (*models::ClipGradient::Create(engine, pool))->LogWeights(texts, {}, upstream.data(), wanted);
    torch_texts.LogWeights(texts, upstream.data(), gradient);
    float largest = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(gradient[i], wanted[i], 2e-4) << i;
      largest = std::max(largest, std::fabs(wanted[i]));
    }
    EXPECT_GT(largest, 0.05);
  }
}

TEST_F(TokenWeightsTest, LearnsWhatTheLibraryLearns) {
  const auto clip = *Clip::Load(clip_);
  std::vector<ClassExamples> examples = {{"shoe", "a red shoe", {}}, {"sea", "the blue sea", {}}};
  std::vector<float> photo(static_cast<std::size_t>(clip->info().vector_length));
  for (std::size_t i = 0; i < examples.size(); ++i) {
    for (std::size_t c = 0; c < photo.size(); ++c) {
      photo[c] = std::sin(static_cast<float>(c * (3 - i)));
    }
    const float norm =
        std::sqrt(std::inner_product(photo.begin(), photo.end(), photo.begin(), 0.f));
    for (float& value : photo) value /= norm;
    examples[i].photos.push_back(photo);
  }
  const LearnOptions options = {.steps = 40};
  const auto engine = *LearnClasses(*clip, examples, options);
  const auto torch = train::LearnTokenWeights(*clip, clip_, "cpu", examples, options);
  ASSERT_TRUE(torch) << torch.error().ToString();
  EXPECT_NEAR(torch->plain_loss, engine.plain_loss, 1e-4);
  EXPECT_NEAR(torch->loss, engine.loss, 1e-3 * (1 + engine.loss));
  EXPECT_LT(torch->loss, 0.95 * torch->plain_loss);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const auto found = clip->EncodeQuery(torch->classes[i].query)->words;
    const auto wanted = clip->EncodeQuery(engine.classes[i].query)->words;
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t word = 0; word < found.size(); ++word) {
      EXPECT_NEAR(found[word].weight, wanted[word].weight, 0.02 * wanted[word].weight);
    }
  }
  const auto elsewhere = train::LearnTokenWeights(*clip, clip_, "nowhere:7", examples, options);
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(TokenWeightsTest, TheProgramWritesClassesAndALog) {
  for (const auto& [name, colour] : {std::pair{"red", std::vector<int>{220, 20, 20}},
                                     std::pair{"blue", std::vector<int>{20, 20, 220}}}) {
    std::filesystem::create_directories(Path("examples/" + std::string(name)));
    Write("examples/" + std::string(name) + "/1.png", PlainPicture(8, 8, colour));
  }
  Write("examples/blue/broken.png", "not a picture");
  const Outcome outcome = Run({"token-weights", Path("examples"), "--clip", clip_, "-o",
                               Path("classes.json"), "--log", Path("log.jsonl"), "--steps", "5"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_THAT(outcome.error, HasSubstr("broken.png"));
  const auto clip = *Clip::Load(clip_);
  const auto classes = ReadPhotoClasses(Path("classes.json"), *clip);
  ASSERT_TRUE(classes) << classes.error().ToString();
  EXPECT_EQ(classes->size(), 2u);
  const std::string log = *base::ReadFile(Path("log.jsonl"));
  EXPECT_EQ(std::ranges::count(log, '\n'), 6);
  EXPECT_THAT(log, HasSubstr("plain_accuracy"));

  EXPECT_THAT(Refusal(1, {"token-weights", Path("none"), "--clip", clip_, "-o", Path("c.json")}),
              HasSubstr("none"));
  EXPECT_THAT(Refusal(2, {"token-weights", Path("examples"), "--clip", clip_, "-o", clip_}),
              HasSubstr("two purposes"));
}

}  // namespace
}  // namespace ondine::testing
