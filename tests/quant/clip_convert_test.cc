// CLIPs with 8-bit towers: calibrated, written, read, run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "adapters/adapter_fixture.h"
#include "images/tiny_clip.h"
#include "models/clip_pass.h"
#include "quant/clip_calibration.h"
#include "quant/convert.h"

namespace ondine::quant {
namespace {

using namespace ::ondine::testing;
using models::Clip;
using models::ClipActivation;
using models::ClipPass;
using models::Quantization;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Tokens = std::vector<std::int32_t>;
using Vector = std::vector<float>;

std::vector<Tokens> Texts(int count) {
  std::vector<Tokens> texts;
  for (int i = 0; i < count; ++i) {
    Tokens& tokens = texts.emplace_back();
    tokens.push_back(517);
    for (int k = 0; k <= i % 9; ++k) tokens.push_back((i * 37 + k * 11) % 517);
    tokens.push_back(518);
  }
  return texts;
}

struct Pictures {
  std::vector<std::vector<std::uint8_t>> pixels;
  std::vector<const std::uint8_t*> pointers;

  explicit Pictures(int count, std::uint32_t seed = 1) {
    for (int i = 0; i < count; ++i) {
      pixels.push_back(TinyPixels(seed + static_cast<std::uint32_t>(i)));
    }
    for (const auto& picture : pixels) pointers.push_back(picture.data());
  }
};

class ClipConvertTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<const Clip>> TryLoad(const std::string& path) {
    const auto file = formats::GgufFile::Open(path);
    if (!file) return tl::make_unexpected(file.error());
    return Clip::Load(*file, pool_);
  }
  std::shared_ptr<const Clip> Load(const std::string& path) {
    auto clip = TryLoad(path);
    EXPECT_TRUE(clip) << clip.error().ToString();
    return clip ? *clip : nullptr;
  }
  std::shared_ptr<const Clip> Floats(ClipActivation activation = ClipActivation::kQuickGelu) {
    EXPECT_TRUE(TinyClip(activation).WriteGguf(in_));
    return Load(in_);
  }

  std::vector<LayerStatistics> Calibrated(const std::shared_ptr<const Clip>& clip) {
    const std::vector<Tokens> texts = Texts(24);
    const Pictures pictures(12);
    auto layers = CalibrateClip(clip, pool_, {texts, pictures.pointers}, {});
    EXPECT_TRUE(layers) << layers.error().ToString();
    return *layers;
  }

  // Of `clip`, which lies in in_; `outliers`: the share that is kept.
  Quantization Codes(const std::shared_ptr<const Clip>& clip, double outliers) {
    Quantization quantization = {.scheme = "w8a8", .provenance = "a test"};
    for (const LayerStatistics& layer : Calibrated(clip)) {
      models::LayerCodes& codes = quantization.layers.emplace_back();
      for (std::size_t site = 0; site < models::kCodeSites; ++site) {
        codes.of_site[site] = CodeOf(layer[site].values.WithoutOutliers(outliers), 8);
        codes.of_site[site].keeps_outliers = outliers > 0;
      }
    }
    return quantization;
  }
  std::string Converted(const Quantization& quantization) {
    const Status status =
        ConvertClip(*formats::GgufFile::Open(in_), pool_, {.quantization = quantization}, out_);
    EXPECT_TRUE(status) << status.error().ToString();
    return out_;
  }

  static Vector EncodeTexts(const std::shared_ptr<const Clip>& clip,
                            const std::vector<models::ClipText>& texts, int threads = 1) {
    compute::ThreadPool pool(threads);
    Vector all(texts.size() * static_cast<std::size_t>(clip->spec().projection));
    ClipPass(clip, pool).EncodeTexts(texts, {}, all.data());
    return all;
  }
  static Vector EncodePictures(const std::shared_ptr<const Clip>& clip, const Pictures& pictures,
                               int threads = 1) {
    compute::ThreadPool pool(threads);
    Vector all(pictures.pixels.size() * static_cast<std::size_t>(clip->spec().projection));
    ClipPass(clip, pool).EncodePictures(pictures.pointers, all.data());
    return all;
  }
  // Of vectors of the tiny CLIP, which have norm 1.
  static double LowestCosine(const Vector& a, const Vector& b) {
    double lowest = 1;
    for (std::size_t i = 0; i < a.size(); i += 24) {
      const auto begin = static_cast<std::ptrdiff_t>(i);
      lowest = std::min(lowest, std::inner_product(a.begin() + begin, a.begin() + begin + 24,
                                                   b.begin() + begin, 0.0));
    }
    return lowest;
  }

  // What is said of a file with this change.
  std::string ErrorOf(const std::function<void(GgufParts&)>& change) {
    GgufParts parts = GgufParts::Read(out_);
    change(parts);
    const std::string path = folder_.File("changed.gguf");
    parts.Write(path);
    const auto clip = TryLoad(path);
    return clip ? "accepted" : clip.error().ToString();
  }

  TempDir folder_;
  compute::ThreadPool pool_{2};
  const std::string in_ = folder_.File("clip.gguf"), out_ = folder_.File("clip.w8a8.gguf");
};

TEST_F(ClipConvertTest, CalibrationSeesEveryRowAtEverySiteOfBothTowers) {
  const auto layers = Calibrated(Floats());
  ASSERT_EQ(layers.size(), 4u);
  std::int64_t tokens = 0;
  for (const Tokens& text : Texts(24)) tokens += static_cast<std::int64_t>(text.size());
  for (std::size_t layer = 0; layer < 4; ++layer) {
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      const std::int64_t rows = layer < 2 ? tokens : 12 * 17;
      const std::int64_t width = layer < 2 ? (site == 3 ? 48 : 32) : (site == 3 ? 64 : 48);
      EXPECT_EQ(layers[layer][site].values.count(), rows * width) << layer << ' ' << site;
      EXPECT_EQ(std::ssize(layers[layer][site].largest), width);
    }
  }
  // GELU gives little below zero.
  const Range down = layers[3][3].values.range();
  EXPECT_GT(down.low, -0.2f);
  EXPECT_GT(down.high, 0.5f);
}

TEST_F(ClipConvertTest, VectorsAreCloseToThoseOfFloats) {
  const std::vector<Tokens> tokens = Texts(60);
  const std::vector<models::ClipText> texts(tokens.begin() + 30, tokens.end());
  const Pictures pictures(20, 1000);  // none that ranges come from
  for (const auto activation : {ClipActivation::kQuickGelu, ClipActivation::kGelu}) {
    const auto floats = Floats(activation);
    double with_less = 0;  // the lowest cosine with fewer outliers
    for (const double outliers : {0.0, 0.002, 0.05}) {
      const auto integers = Load(Converted(Codes(floats, outliers)));
      ASSERT_TRUE(integers->quantization());
      EXPECT_NE(integers->image().layers[1].down.input_code(), nullptr);
      EXPECT_LT(integers->bytes(), floats->bytes());
      const Vector of_texts = EncodeTexts(integers, texts);
      const Vector of_pictures = EncodePictures(integers, pictures);
      EXPECT_GT(LowestCosine(of_texts, EncodeTexts(floats, texts)), 0.99);
      EXPECT_GT(LowestCosine(of_pictures, EncodePictures(floats, pictures)), 0.98);
      EXPECT_LT(LowestCosine(of_texts, EncodeTexts(floats, texts)), 1 - 1e-7);
      const double lowest = std::min(LowestCosine(of_texts, EncodeTexts(floats, texts)),
                                     LowestCosine(of_pictures, EncodePictures(floats, pictures)));
      EXPECT_GT(lowest, with_less) << outliers;
      with_less = lowest;
    }
  }
}

TEST_F(ClipConvertTest, VectorsDependNeitherOnNeighboursNorOnThreads) {
  const auto integers = Load(Converted(Codes(Floats(), 0.01)));
  const std::vector<Tokens> tokens = Texts(5);
  const std::vector<models::ClipText> texts(tokens.begin(), tokens.end());
  const Pictures pictures(4);
  const Vector of_texts = EncodeTexts(integers, texts);
  const Vector of_pictures = EncodePictures(integers, pictures);
  EXPECT_EQ(EncodeTexts(integers, texts, 3), of_texts);
  EXPECT_EQ(EncodePictures(integers, pictures, 3), of_pictures);
  EXPECT_EQ(EncodeTexts(integers, {texts[4]}), Vector(of_texts.end() - 24, of_texts.end()));
  EXPECT_EQ(EncodePictures(integers, Pictures(1, 4)),
            Vector(of_pictures.end() - 24, of_pictures.end()));
}

TEST_F(ClipConvertTest, StrengthsOfOneChangeNoBit) {
  const auto integers = Load(Converted(Codes(Floats(), 0.002)));
  for (const Tokens& text : Texts(9)) {
    const Vector ones(text.size(), 0.0f);
    EXPECT_EQ(EncodeTexts(integers, {{text, ones}}), EncodeTexts(integers, {{text}}));
    Vector strong = ones;
    strong[1] = std::log(4.0f);
    EXPECT_NE(EncodeTexts(integers, {{text, strong}}), EncodeTexts(integers, {{text}}));
  }
}

TEST_F(ClipConvertTest, OnlyMatricesOfBlocksBecomeIntegers) {
  Converted(Codes(Floats(), 0.002));
  const GgufParts before = GgufParts::Read(in_), after = GgufParts::Read(out_);
  std::size_t integers = 0;
  for (const auto& [name, tensor] : after.tensors) {
    if (tensor.type == formats::TensorType::kI8) {
      EXPECT_TRUE(models::IsTowerMatrix(name)) << name;
      ++integers;
    } else if (!name.ends_with("weight_scales")) {
      EXPECT_EQ(tensor.data, before.tensors.at(name).data) << name;
    }
  }
  EXPECT_EQ(integers, 4u * 6);
  EXPECT_FALSE(models::IsTowerMatrix("t.token_embd.weight"));
  EXPECT_FALSE(models::IsTowerMatrix("visual_projection.weight"));
  EXPECT_FALSE(models::IsTowerMatrix("v.blk.0.ln1.weight"));
}

TEST_F(ClipConvertTest, RefusesFilesThatAreWrong) {
  const auto floats = Floats();
  Converted(Codes(floats, 0.002));
  EXPECT_EQ(ErrorOf([](GgufParts&) {}), "accepted");
  EXPECT_THAT(ErrorOf([](GgufParts& parts) {
                std::erase_if(parts.metadata, [](const auto& entry) {
                  return entry.first.starts_with("ondine.quantization.");
                });
              }),
              HasSubstr("without a code"));
  EXPECT_THAT(ErrorOf([](GgufParts& parts) {
                parts.metadata["ondine.quantization.version"] = std::int64_t{2};
              }),
              HasSubstr("version 2"));
  // As many codes as the text tower alone has.
  EXPECT_THAT(ErrorOf([](GgufParts& parts) {
                parts.metadata["ondine.quantization.input_scales"] = std::vector<float>(8, 0.1f);
              }),
              HasSubstr("16 inputs"));
  EXPECT_THAT(ErrorOf([](GgufParts& parts) {
                parts.metadata["ondine.quantization.input_scales"] = std::vector<float>(16, -1.0f);
              }),
              HasSubstr("scale of its inputs"));
  EXPECT_THAT(
      ErrorOf([](GgufParts& parts) { parts.tensors.erase("v.blk.1.ffn_up.weight_scales"); }),
      AllOf(HasSubstr("v.blk.1.ffn_up"), HasSubstr("no scales")));
  EXPECT_THAT(ErrorOf([](GgufParts& parts) {
                parts.SetFloats("v.blk.1.ffn_up.weight_scales", Vector(64, NAN));
              }),
              HasSubstr("v.blk.1.ffn_up"));
  EXPECT_THAT(ErrorOf([&](GgufParts& parts) {
                parts.tensors["t.blk.0.attn_k.weight"] =
                    GgufParts::Read(in_).tensors.at("t.blk.0.attn_k.weight");
              }),
              AllOf(HasSubstr("t.blk.0"), HasSubstr("some are not")));
}

TEST_F(ClipConvertTest, CalibrationRefusesWhatItCannotUse) {
  const auto floats = Floats();
  const std::vector<Tokens> texts = Texts(3);
  const Pictures pictures(2);
  const auto code = [&](const std::shared_ptr<const Clip>& clip, const ClipSamples& samples,
                        const ClipCalibrationOptions& options = {}) {
    const auto layers = CalibrateClip(clip, pool_, samples, options);
    return layers ? std::optional<ErrorCode>() : layers.error().code;
  };
  EXPECT_EQ(code(floats, {texts, {}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(floats, {{}, pictures.pointers}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(Load(Converted(Codes(floats, 0))), {texts, pictures.pointers}),
            ErrorCode::kInvalidArgument);
  ClipCalibrationOptions options;
  options.stop_token.Stop();
  EXPECT_EQ(code(floats, {texts, pictures.pointers}, options), ErrorCode::kCancelled);
  TinyClip tiny;
  tiny.tensors().at("v.blk.1.ffn_up.bias").values[3] = 3e38f;
  tiny.tensors().at("v.blk.1.ffn_up.weight").values.assign(48 * 64, 1e38f);
  ASSERT_TRUE(tiny.WriteGguf(in_));
  EXPECT_EQ(code(Load(in_), {texts, pictures.pointers}), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ondine::quant
