#include "models/clip_pass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "base/temp_dir.h"
#include "images/golden_clip.h"
#include "images/tiny_clip.h"
#include "models/clip.h"

namespace ondine::models {
namespace {

using Tokens = std::vector<std::int32_t>;
using Vector = std::vector<float>;

const Tokens kShort = {517, 70, 518};
const Tokens kLong = {517, 512 + 1, 70, 71, 72, 512 + 4, 80, 90, 518};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ClipPassTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Clip> Load(testing::TinyClip tiny = testing::TinyClip()) {
    const std::string path = folder_.File("tiny.gguf");
    EXPECT_TRUE(tiny.WriteGguf(path).has_value());
    compute::ThreadPool pool(1);
    return *Clip::Load(*formats::GgufFile::Open(path), pool);
  }

  static std::vector<Vector> Texts(const std::shared_ptr<const Clip>& clip,
                                   const std::vector<ClipText>& texts,
                                   const WeightPlace& place = {}, int threads = 1) {
    compute::ThreadPool pool(threads);
    ClipPass pass(clip, pool);
    const auto length = static_cast<std::size_t>(clip->spec().projection);
    Vector all(texts.size() * length);
    pass.EncodeTexts(texts, place, all.data());
    std::vector<Vector> vectors;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      vectors.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i * length),
                           all.begin() + static_cast<std::ptrdiff_t>((i + 1) * length));
    }
    return vectors;
  }
  static Vector Text(const std::shared_ptr<const Clip>& clip, const ClipText& text,
                     const WeightPlace& place = {}) {
    return Texts(clip, {text}, place).front();
  }

  static Vector Picture(const std::shared_ptr<const Clip>& clip,
                        const std::vector<const std::uint8_t*>& pictures, std::size_t which,
                        int threads = 1) {
    compute::ThreadPool pool(threads);
    ClipPass pass(clip, pool);
    const auto length = static_cast<std::size_t>(clip->spec().projection);
    Vector all(pictures.size() * length);
    pass.EncodePictures(pictures, all.data());
    return {all.begin() + static_cast<std::ptrdiff_t>(which * length),
            all.begin() + static_cast<std::ptrdiff_t>((which + 1) * length)};
  }

  const testing::TempDir folder_;
};

double Cosine(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST_F(ClipPassTest, AgreesWithTransformers) {
  for (const auto& [activation, golden] :
       {std::pair{ClipActivation::kQuickGelu, testing::kGoldenQuickGelu},
        std::pair{ClipActivation::kGelu, testing::kGoldenGelu}}) {
    const auto clip = Load(testing::TinyClip(activation));
    const Vector text = Text(clip, {testing::kGoldenTokens});
    const auto pixels = testing::TinyPixels(testing::kGoldenPicture);
    const Vector picture = Picture(clip, {pixels.data()}, 0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      EXPECT_NEAR(text[i], golden.text[i], 2e-6);
      EXPECT_NEAR(picture[i], golden.picture[i], 2e-6);
    }
  }
}

TEST_F(ClipPassTest, ATextDoesNotDependOnItsNeighboursNorOnThreads) {
  const auto clip = Load();
  const Vector alone = Text(clip, {kShort});
  const Vector weights(kLong.size(), 1.0f);
  for (const int threads : {1, 2, 3}) {
    const auto together = Texts(clip, {{kLong, weights}, {kShort}, {kLong}}, {}, threads);
    EXPECT_EQ(together[1], alone);
    EXPECT_EQ(together[2], Text(clip, {kLong}));
    EXPECT_NE(together[0], together[2]);
  }
}

TEST_F(ClipPassTest, APictureDoesNotDependOnItsNeighboursNorOnThreads) {
  const auto clip = Load();
  const auto a = testing::TinyPixels(1), b = testing::TinyPixels(2);
  const Vector alone = Picture(clip, {b.data()}, 0);
  EXPECT_EQ(Picture(clip, {a.data(), b.data(), a.data()}, 1, 2), alone);
  EXPECT_NE(Picture(clip, {a.data()}, 0), alone);
  EXPECT_NEAR(Cosine(alone, alone), 1, 1e-6);
}

TEST_F(ClipPassTest, StrengthsOfOneChangeNoBit) {
  const auto clip = Load();
  EXPECT_EQ(Text(clip, {kLong, Vector(kLong.size(), 0.0f)}), Text(clip, {kLong}));
}

// What all tokens have in common, start and end included, cancels; on words alone it does not.
TEST_F(ClipPassTest, ACommonFactorCancels) {
  const auto clip = Load();
  const Vector plain = Text(clip, {kLong});
  EXPECT_GT(Cosine(Text(clip, {kLong, Vector(kLong.size(), 1.5f)}), plain), 1 - 1e-6);
  Vector words(kLong.size(), 1.5f);
  words.front() = words.back() = 0;
  EXPECT_LT(Cosine(Text(clip, {kLong, words}), plain), 1 - 1e-4);
}

TEST_F(ClipPassTest, AStrengthOfZeroIsTheLimitOfSmallOnes) {
  const auto clip = Load();
  Vector hidden(kLong.size(), 0.0f), faint = hidden;
  hidden[3] = -kInfinity;
  faint[3] = std::log(1e-12f);
  const Vector off = Text(clip, {kLong, hidden});
  EXPECT_GT(Cosine(off, Text(clip, {kLong, faint})), 1 - 1e-6);
  EXPECT_LT(Cosine(off, Text(clip, {kLong})), 1 - 1e-4);
}

// Only its position is left of a token that nobody sees: another token in its place gives the same.
TEST_F(ClipPassTest, AHiddenTokenCouldBeAnyOther) {
  const auto clip = Load();
  Vector hidden(kLong.size(), 0.0f);
  hidden[3] = -kInfinity;
  Tokens other = kLong;
  other[3] = 200;
  EXPECT_EQ(Text(clip, {kLong, hidden}), Text(clip, {other, hidden}));
  // From the second block on it is too late: others have read it.
  const WeightPlace late{1, false};
  EXPECT_NE(Text(clip, {kLong, hidden}, late), Text(clip, {other, hidden}, late));
}

TEST_F(ClipPassTest, WithoutAnyWordStartAndEndRemain) {
  const auto clip = Load();
  Vector hidden(kLong.size(), -kInfinity);
  hidden.front() = hidden.back() = 0;
  const Vector vector = Text(clip, {kLong, hidden});
  EXPECT_NEAR(Cosine(vector, vector), 1, 1e-5);
}

TEST_F(ClipPassTest, ExtremeStrengthsStayFinite) {
  const auto clip = Load();
  for (const float weight : {1e-6f, 1e6f}) {
    Vector weights(kLong.size(), 0.0f);
    weights[2] = std::log(weight);
    const Vector vector = Text(clip, {kLong, weights});
    EXPECT_NEAR(Cosine(vector, vector), 1, 1e-5);
  }
}

TEST_F(ClipPassTest, TheLastRowAloneIsAGentlerPlace) {
  const auto clip = Load();
  const Vector plain = Text(clip, {kLong});
  Vector weights(kLong.size(), 0.0f);
  weights[1] = std::log(4.0f);
  const Vector everywhere = Text(clip, {kLong, weights});
  const Vector last = Text(clip, {kLong, weights}, {0, true});
  EXPECT_NE(last, everywhere);
  EXPECT_NE(last, plain);
}

// In the first block nothing but the strength differs: odds are multiplied by it, head by head;
// with one head the mean over heads is that head.
TEST_F(ClipPassTest, SharesFollowTheOddsLaw) {
  testing::TinyClip tiny;
  tiny.spec().text.heads = 1;
  const auto clip = Load(tiny);
  compute::ThreadPool pool(2);
  ClipPass pass(clip, pool);
  Vector weights(kLong.size(), 0.0f);
  weights[1] = std::log(3.0f);
  const Vector before = pass.AttentionShares({kLong}, {});
  const Vector after = pass.AttentionShares({kLong, weights}, {});
  const double odds = before[1] / (1 - before[1]);
  EXPECT_NEAR(after[1] / (1 - after[1]), 3 * odds, 1e-4);
  EXPECT_NEAR(std::accumulate(after.begin(), after.begin() + 9, 0.0), 1, 1e-5);
  EXPECT_NEAR(std::accumulate(after.begin() + 9, after.end(), 0.0), 1, 1e-5);
}

}  // namespace
}  // namespace ondine::models
