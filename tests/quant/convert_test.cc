#include "quant/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>
#include <random>
#include <span>

#include "adapters/adapter_fixture.h"
#include "models/base_fingerprint.h"
#include "quant/calibration.h"

namespace ondine::quant {
namespace {

using namespace ::ondine::testing;
using models::ChannelScales;
using models::FoldSite;
using models::Quantization;
using ::testing::HasSubstr;

std::vector<TinyModel> Architectures() {
  return {{.architecture = "llama"},
          {.architecture = "qwen2", .seed = 2},
          {.architecture = "qwen3", .seed = 3},
          {.architecture = "gemma3", .layers = 7, .window = 16, .seed = 4},
          {.architecture = "gpt2", .width = 128, .kv_heads = 4, .seed = 5}};
}

// Of all sites; `scale` draws one.
template <typename Draw>
ChannelScales RandomScales(const models::DecoderSpec& spec, Draw&& draw) {
  ChannelScales scales(static_cast<std::size_t>(spec.layers));
  for (models::LayerScales& layer : scales) {
    for (std::size_t site = 0; site < models::kFoldSites; ++site) {
      for (std::int64_t c = 0; c < FoldWidth(spec, static_cast<FoldSite>(site)); ++c) {
        layer.of_site[site].push_back(draw());
      }
    }
  }
  return scales;
}

// Of all sites but values: attention rounds the channels of a value together, so that scales change
// how.
ChannelScales PowersOfTwo(const models::DecoderSpec& spec, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> exponents(-3, 3);
  ChannelScales scales =
      RandomScales(spec, [&] { return std::exp2(static_cast<float>(exponents(random))); });
  for (models::LayerScales& layer : scales) layer.at(FoldSite::kValue).clear();
  return scales;
}

float Size(const std::vector<float>& values) {
  return std::abs(*std::ranges::max_element(values, {}, [](float x) { return std::abs(x); }));
}

class ConvertTest : public ::testing::Test {
 protected:
  std::shared_ptr<const models::Decoder> Load(const TinyModel& model) {
    EXPECT_TRUE(WriteTinyModel(model, in_));
    return LoadDecoder(in_);
  }

  Status Write(const models::Decoder& decoder, const ConversionOptions& options) {
    const auto file = formats::GgufFile::Open(in_);
    if (!file) return tl::make_unexpected(file.error());
    compute::ThreadPool pool(2);
    return Convert(*file, decoder.spec(), pool, options, out_);
  }

  // With `scales` folded in.
  std::shared_ptr<const models::Decoder> Folded(const models::Decoder& decoder,
                                                const ChannelScales& scales) {
    const Status status =
        Write(decoder, {.fold = models::Fold{models::BaseFingerprint(decoder), scales}});
    EXPECT_TRUE(status) << status.error().ToString();
    return LoadDecoder(out_);
  }

  // In 8 bits, ranges from a made-up text.
  Quantization Codes(const std::shared_ptr<const models::Decoder>& decoder,
                     const ChannelScales& scales = {}) {
    compute::ThreadPool pool(2);
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 640; ++i) tokens.push_back((i * 37 + 11 + i / 40) % 256);
    const auto calibration = Calibrate(decoder, pool, tokens, {.context = 64, .scales = scales});
    EXPECT_TRUE(calibration);
    Quantization quantization = {.scheme = "w8a8", .provenance = "a test"};
    for (const auto& layer : calibration->layers) {
      models::LayerCodes& codes = quantization.layers.emplace_back();
      for (std::size_t site = 0; site < models::kCodeSites; ++site) {
        codes.of_site[site] = CodeOf(layer[site].values.range(), 8);
      }
    }
    return quantization;
  }

  TempDir folder_;
  std::string in_ = folder_.File("model.gguf"), out_ = folder_.File("converted.gguf");
};

TEST_F(ConvertTest, FoldingOnesLeavesEveryTensorAsItWas) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto decoder = Load(model);
    Folded(*decoder, RandomScales(decoder->spec(), [] { return 1.0f; }));
    const GgufParts before = GgufParts::Read(in_), after = GgufParts::Read(out_);
    ASSERT_EQ(after.tensors.size(), before.tensors.size());
    for (const auto& [name, tensor] : before.tensors) {
      EXPECT_EQ(after.tensors.at(name).data, tensor.data) << name;
    }
  }
}

TEST_F(ConvertTest, FoldingPowersOfTwoLeavesEveryLogitAsItWas) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto decoder = Load(model);
    const auto folded = Folded(*decoder, PowersOfTwo(decoder->spec(), 5));
    EXPECT_EQ(models::BaseFingerprint(*folded), models::BaseFingerprint(*decoder));
    EXPECT_EQ(LogitsWith(folded, {}), LogitsWith(decoder, {}));
    // And the weights are not what they were.
    EXPECT_NE(GgufParts::Read(out_).Floats("blk.1.ffn_up.weight"),
              GgufParts::Read(in_).Floats("blk.1.ffn_up.weight"));
  }
}

TEST_F(ConvertTest, FoldingAnyScalesChangesRoundingAlone) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto decoder = Load(model);
    std::mt19937 random(7);
    std::uniform_real_distribution<float> exponents(-3, 3);
    const auto folded = Folded(
        *decoder, RandomScales(decoder->spec(), [&] { return std::exp(exponents(random)); }));
    const std::vector<float> logits = LogitsWith(decoder, {});
    // Keys and values are rounded to 16 bits on the way.
    EXPECT_LT(LargestDifference(LogitsWith(folded, {}), logits), 2e-3f * Size(logits));
  }
}

TEST_F(ConvertTest, AdaptersFollowTheScales) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto decoder = Load(model);
    const adapters::LoraAdapter lora =
        RandomLora(*decoder, models::LoraTargetNames(decoder->spec()), 4, 7);
    const std::vector<adapters::ScaledLora> adapters = {{&lora, 0.8f}};
    const auto folded = Folded(*decoder, PowersOfTwo(decoder->spec(), 6));
    const std::vector<float> expected = LogitsWith(decoder, adapters);
    EXPECT_EQ(LogitsWith(folded, adapters), expected);
    EXPECT_GT(LargestDifference(LogitsWith(folded, {}), expected), 0.1f);
  }
}

TEST_F(ConvertTest, EightBitsAreCloseToFloats) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto decoder = Load(model);
    const std::vector<float> logits = LogitsWith(decoder, {});
    ConversionOptions options = {.quantization = Codes(decoder)};
    for (const bool per_channel : {true, false}) {
      options.quantization->per_channel = per_channel;
      ASSERT_TRUE(Write(*decoder, options));
      const auto converted = LoadDecoder(out_);
      ASSERT_TRUE(converted->quantization());
      EXPECT_EQ(converted->quantization()->scheme, "w8a8");
      EXPECT_EQ(converted->quantization()->provenance, "a test");
      EXPECT_EQ(converted->layers()[1].down.type(), formats::TensorType::kI8);
      EXPECT_LT(LargestDifference(LogitsWith(converted, {}), logits), 0.1f * Size(logits));
    }
  }
}

TEST_F(ConvertTest, ScalesUndoWhatOutliersDo) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto plain = Load(model);
    const std::vector<float> logits = LogitsWith(plain, {});
    // The same model with channels of very different sizes, as trained ones have.
    const ChannelScales outliers = PowersOfTwo(plain->spec(), 8);
    Folded(*plain, outliers);
    GgufParts parts = GgufParts::Read(out_);
    std::erase_if(parts.metadata,
                  [](const auto& entry) { return entry.first.starts_with("ondine.fold."); });
    parts.Write(in_);
    const auto decoder = LoadDecoder(in_);

    ASSERT_TRUE(Write(*decoder, {.quantization = Codes(decoder)}));
    const float bare = LargestDifference(LogitsWith(LoadDecoder(out_), {}), logits);
    ChannelScales inverse = outliers;
    for (models::LayerScales& layer : inverse) {
      for (std::vector<float>& scales : layer.of_site) {
        for (float& scale : scales) scale = 1 / scale;
      }
    }
    ASSERT_TRUE(Write(*decoder, {.fold = models::Fold{models::BaseFingerprint(*decoder), inverse},
                                 .quantization = Codes(decoder, inverse)}));
    const float scaled = LargestDifference(LogitsWith(LoadDecoder(out_), {}), logits);
    EXPECT_LT(scaled, 0.1f * Size(logits));
    EXPECT_GT(bare, 2 * scaled);
  }
}

TEST_F(ConvertTest, ATokensIntegersDependOnNothingElse) {
  for (const TinyModel& model : Architectures()) {
    SCOPED_TRACE(model.architecture);
    const auto decoder = Load(model);
    ASSERT_TRUE(Write(*decoder, {.quantization = Codes(decoder)}));
    const auto converted = LoadDecoder(out_);
    const std::vector<float> logits = LogitsWith(converted, {});
    for (const int threads : {1, 3}) {
      for (const std::int64_t pass_length : {40, 20, 10}) {
        EXPECT_EQ(LogitsWith(converted, {}, threads, pass_length), logits);
      }
      // Attention of few rows is in floats, that of many in bytes.
      EXPECT_LT(LargestDifference(LogitsWith(converted, {}, threads, 1), logits),
                0.1f * Size(logits));
    }
  }
}

TEST_F(ConvertTest, AdaptersRunOnEightBits) {
  const auto decoder = Load({});
  ASSERT_TRUE(Write(*decoder, {.quantization = Codes(decoder)}));
  const auto converted = LoadDecoder(out_);
  for (const std::vector<std::string>& targets :
       {std::vector<std::string>{"attn_q", "attn_v"}, models::LoraTargetNames(decoder->spec())}) {
    const adapters::LoraAdapter lora = RandomLora(*decoder, targets, 4, 7);
    const std::vector<adapters::ScaledLora> adapters = {{&lora, 0.3f}};
    const std::vector<float> expected = LogitsWith(decoder, adapters);
    const float effect = LargestDifference(expected, LogitsWith(decoder, {}));
    // In passes of one token attention is in floats, as the other model's is; in longer ones not.
    // The first is 0.299 to 0.301, by the CPU's order of sums.
    EXPECT_LT(LargestDifference(LogitsWith(converted, adapters, 1, 1), expected), 0.35f * effect);
    EXPECT_LT(LargestDifference(LogitsWith(converted, adapters), expected), 0.4f * effect);
  }
}

TEST_F(ConvertTest, AStoppedConversionLeavesNothing) {
  const auto decoder = Load({});
  ConversionOptions options = {.quantization = Codes(decoder)};
  std::int64_t last = 0;
  options.on_progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(done, last + 1);
    EXPECT_LE(done, total);
    last = done;
    if (done == 5) options.stop_token.Stop();
  };
  const Status status = Write(*decoder, options);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(last, 5);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

// The decoder never reads them, so that nobody has looked at their shapes.
TEST_F(ConvertTest, ScalesDoNotReachBeyondTensorsOfAnotherShape) {
  struct Case {
    std::string architecture, tensor;
    std::vector<std::int64_t> shape;
  };
  for (const Case& each :
       {Case{"llama", "blk.0.attn_norm.bias", {100000}}, Case{"llama", "blk.1.attn_qkv.bias", {7}},
        Case{"llama", "blk.1.attn_qkv.weight", {4096, 3}},
        Case{"gpt2", "blk.0.ffn_gate.weight", {100000, 2}},
        Case{"gpt2", "blk.0.ffn_gate.weight", {8}}}) {
    SCOPED_TRACE(each.architecture + " " + each.tensor);
    TinyModel model = {.architecture = each.architecture};
    if (each.architecture == "gpt2") model.width = 128, model.kv_heads = 4;
    const auto decoder = Load(model);
    const ChannelScales scales = RandomScales(decoder->spec(), [] { return 1.0f; });
    GgufParts parts = GgufParts::Read(in_);
    const auto elements =
        std::accumulate(each.shape.begin(), each.shape.end(), std::int64_t{1}, std::multiplies());
    const std::vector<float> values(static_cast<std::size_t>(elements), 1.0f);
    const auto bytes = std::as_bytes(std::span(values));
    parts.tensors[each.tensor] = {
        formats::TensorType::kF32, each.shape, {bytes.begin(), bytes.end()}};
    parts.Write(in_);
    const Status status =
        Write(*decoder, {.fold = models::Fold{models::BaseFingerprint(*decoder), scales}});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(status.error().ToString(), HasSubstr(each.tensor));
  }
}

TEST_F(ConvertTest, ALayersNumberHasNoZerosInFront) {
  const auto decoder = Load({});
  GgufParts parts = GgufParts::Read(in_);
  parts.tensors["blk.00.attn_norm.weight"] = parts.tensors["blk.0.attn_norm.weight"];
  parts.Write(in_);
  const ChannelScales scales = RandomScales(decoder->spec(), [] { return 2.0f; });
  ASSERT_TRUE(Write(*decoder, {.fold = models::Fold{models::BaseFingerprint(*decoder), scales}}));
  const GgufParts folded = GgufParts::Read(out_);
  EXPECT_EQ(folded.Floats("blk.00.attn_norm.weight"), parts.Floats("blk.00.attn_norm.weight"));
  EXPECT_NE(folded.Floats("blk.0.attn_norm.weight"), parts.Floats("blk.0.attn_norm.weight"));
}

TEST_F(ConvertTest, AFileThatContradictsItselfIsRefused) {
  const auto decoder = Load({});
  ASSERT_TRUE(Write(*decoder, {.quantization = Codes(decoder)}));
  const GgufParts good = GgufParts::Read(out_);
  const auto refused = [&](auto change) {
    GgufParts parts = good;
    change(parts);
    parts.Write(out_);
    const auto file = formats::GgufFile::Open(out_);
    compute::ThreadPool pool(1);
    const auto loaded = models::Decoder::Load(*file, pool);
    return loaded ? "accepted" : loaded.error().ToString();
  };
  const std::string prefix = "ondine.quantization.";
  EXPECT_EQ(refused([](GgufParts&) {}), "accepted");
  EXPECT_THAT(refused([&](GgufParts& p) { p.metadata[prefix + "version"] = std::int64_t{7}; }),
              HasSubstr("version 7"));
  EXPECT_THAT(refused([&](GgufParts& p) { p.metadata.erase(prefix + "version"); }),
              HasSubstr("without a code"));
  EXPECT_THAT(refused([&](GgufParts& p) { p.metadata.erase(prefix + "input_zeros"); }),
              HasSubstr("do not describe 8 inputs"));
  EXPECT_THAT(refused([&](GgufParts& p) {
                std::get<std::vector<std::int64_t>>(p.metadata[prefix + "input_zeros"])[3] = 256;
              }),
              HasSubstr("out of range"));
  EXPECT_THAT(refused([&](GgufParts& p) {
                std::get<std::vector<float>>(p.metadata[prefix + "input_scales"])[3] = 0;
              }),
              HasSubstr("scale of its inputs"));
  EXPECT_THAT(refused([](GgufParts& p) { p.tensors.erase("blk.0.attn_q.weight_scales"); }),
              HasSubstr("has no scales"));
  EXPECT_THAT(refused([](GgufParts& p) {
                p.tensors["blk.0.attn_q.weight_scales"] = p.tensors["blk.0.attn_k.weight_scales"];
              }),
              HasSubstr("scales for 128 outputs"));
  EXPECT_THAT(refused([&](GgufParts& p) {
                p.tensors["blk.0.attn_k.weight"] =
                    GgufParts::Read(in_).tensors["blk.0.attn_k.weight"];
              }),
              HasSubstr("same input"));
}

}  // namespace
}  // namespace ondine::quant
