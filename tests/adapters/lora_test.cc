#include "adapters/lora.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "adapters/adapter_fixture.h"

namespace ondine::adapters {
namespace {

using namespace ::ondine::testing;

// Of what an adapter does: keys and values are rounded to 16 bits on the way.
constexpr float kTolerance = 0.005f;

struct Case {
  const char* name;
  TinyModel model;
  std::vector<std::string> targets;
};

std::vector<Case> Cases() {
  const std::vector<std::string> all = models::LoraTargetNames({});
  const TinyModel llama = {.architecture = "llama"};
  const TinyModel qwen = {.architecture = "qwen2", .seed = 2};
  const TinyModel gemma = {.architecture = "gemma3", .layers = 7, .window = 16, .seed = 4};
  return {
      {"queries", llama, {"attn_q"}},
      {"attention", llama, {"attn_q", "attn_k", "attn_v", "attn_output"}},
      {"gate", llama, {"ffn_gate"}},
      {"down", llama, {"ffn_down"}},
      {"everything", llama, all},
      {"qwen2", qwen, all},
      {"gemma3", gemma, all},
  };
}

class LoraTest : public ::testing::Test {
 protected:
  std::shared_ptr<const models::Decoder> Load(const TinyModel& model) {
    EXPECT_TRUE(WriteTinyModel(model, path_));
    return LoadDecoder(path_);
  }

  // The same model with what the adapters add put into its weights.
  std::shared_ptr<const models::Decoder> Merged(const std::vector<ScaledLora>& adapters) {
    GgufParts parts = GgufParts::Read(path_);
    for (const auto& [adapter, scale] : adapters) {
      for (const auto& [tensor, factors] : adapter->matrices) {
        std::vector<float> weights = parts.Floats(tensor);
        const std::vector<float> added =
            ::ondine::testing::Product(factors, scale * adapter->Factor(factors));
        for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += added[i];
        parts.SetFloats(tensor, weights);
      }
    }
    parts.Write(folder_.File("merged.gguf"));
    return LoadDecoder(folder_.File("merged.gguf"));
  }

  TempDir folder_;
  std::string path_ = folder_.File("tiny.gguf");
};

TEST_F(LoraTest, EqualsMergedWeights) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const auto decoder = Load(c.model);
    const LoraAdapter lora = RandomLora(*decoder, c.targets, 4, 7);
    const std::vector<ScaledLora> adapters = {{&lora, 0.8f}};
    const std::vector<float> merged = LogitsWith(Merged(adapters), {});
    const float effect = LargestDifference(LogitsWith(decoder, {}), merged);
    EXPECT_GT(effect, 0.5f);
    for (const int threads : {1, 2, 3}) {
      for (const std::int64_t pass_length : {40, 24, 1}) {
        EXPECT_LT(LargestDifference(LogitsWith(decoder, adapters, threads, pass_length), merged),
                  kTolerance * effect);
      }
    }
  }
}

TEST_F(LoraTest, SeveralOfDifferentRanksAndMatricesEqualMergedWeights) {
  const auto decoder = Load({.architecture = "llama"});
  const LoraAdapter one = RandomLora(*decoder, {"attn_q", "ffn_up"}, 2, 1);
  const LoraAdapter two = RandomLora(*decoder, {"attn_q", "attn_output"}, 5, 2);
  const std::vector<ScaledLora> adapters = {{&one, 0.5f}, {&two, -0.7f}};
  const std::vector<float> merged = LogitsWith(Merged(adapters), {});
  const float effect = LargestDifference(LogitsWith(decoder, {}), merged);
  EXPECT_LT(LargestDifference(LogitsWith(decoder, adapters), merged), kTolerance * effect);
}

// Stores the layers' matrices as `type`, or, as floats, what that type makes of them.
void Quantise(formats::TensorType type, bool as_floats, GgufParts& parts) {
  ggml_cpu_init();
  const auto number = static_cast<ggml_type>(type);
  for (auto& [name, tensor] : parts.tensors) {
    if (!name.starts_with("blk.") || tensor.shape.size() != 2) continue;
    const std::int64_t columns = tensor.shape[0], rows = tensor.shape[1];
    std::vector<float> values = parts.Floats(name);
    std::vector<std::byte> data(ggml_row_size(number, columns) * static_cast<std::size_t>(rows));
    ggml_quantize_chunk(number, values.data(), data.data(), 0, rows, columns, nullptr);
    if (as_floats) {
      ggml_get_type_traits(number)->to_float(data.data(), values.data(), columns * rows);
      parts.SetFloats(name, values);
    } else {
      tensor.type = type;
      tensor.data = std::move(data);
    }
  }
}

std::vector<float> Less(std::vector<float> x, const std::vector<float>& y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] -= y[i];
  return x;
}

TEST_F(LoraTest, DoesOnAQuantisedBaseWhatItDoesOnTheSameBaseInFloats) {
  for (const auto type : {formats::TensorType::kQ8_0, formats::TensorType::kQ4_0,
                          formats::TensorType::kQ4_1, formats::TensorType::kBF16}) {
    SCOPED_TRACE(ggml_type_name(static_cast<ggml_type>(type)));
    ASSERT_TRUE(WriteTinyModel({.architecture = "llama"}, path_));
    const GgufParts parts = GgufParts::Read(path_);
    GgufParts quantised_parts = parts, float_parts = parts;
    Quantise(type, false, quantised_parts);
    Quantise(type, true, float_parts);
    quantised_parts.Write(folder_.File("quantised.gguf"));
    float_parts.Write(path_);
    const auto quantised = LoadDecoder(folder_.File("quantised.gguf"));
    const auto floats = LoadDecoder(path_);
    const LoraAdapter lora = RandomLora(*floats, models::LoraTargetNames(floats->spec()), 4, 7);
    const std::vector<ScaledLora> adapters = {{&lora, 0.8f}};
    const std::vector<float> wanted =
        Less(LogitsWith(Merged(adapters), {}), LogitsWith(floats, {}));
    const std::vector<float> found =
        Less(LogitsWith(quantised, adapters), LogitsWith(quantised, {}));
    const float effect = LargestDifference(wanted, std::vector<float>(wanted.size()));
    EXPECT_GT(effect, 0.5f);
    // Products with a quantised base round the activations to 8 bits, with and without the adapter.
    EXPECT_LT(LargestDifference(found, wanted), 0.1f * effect);
  }
}

TEST_F(LoraTest, NeutralOnesChangeNothing) {
  const auto decoder = Load({.architecture = "llama"});
  const std::vector<float> base = LogitsWith(decoder, {});
  LoraAdapter lora = RandomLora(*decoder, models::LoraTargetNames(decoder->spec()), 4, 7);
  EXPECT_EQ(LogitsWith(decoder, {{&lora, 0.0f}}), base);
  for (auto& [tensor, factors] : lora.matrices) std::fill(factors.b.begin(), factors.b.end(), 0);
  // The gated product is computed in two steps with it, but of the same numbers.
  EXPECT_EQ(LogitsWith(decoder, {{&lora, 1.0f}}), base);
}

TEST_F(LoraTest, AlphaZeroMeansNoFactor) {
  const auto decoder = Load({.architecture = "llama"});
  LoraAdapter lora = RandomLora(*decoder, {"attn_v"}, 4, 7);
  lora.alpha = 4;
  const std::vector<float> with_rank = LogitsWith(decoder, {{&lora, 1.0f}});
  lora.alpha = 0;
  EXPECT_EQ(LogitsWith(decoder, {{&lora, 1.0f}}), with_rank);
  lora.alpha = 8;
  EXPECT_EQ(LogitsWith(decoder, {{&lora, 0.5f}}), with_rank);
}

TEST_F(LoraTest, WhatDoesNotFitIsRefusedByName) {
  const auto decoder = Load({.architecture = "llama"});
  compute::ThreadPool pool(1);
  const auto refused = [&](const LoraAdapter& lora, float scale) {
    const auto combined = Combine(std::vector<ScaledLora>{{&lora, scale}}, *decoder, pool);
    EXPECT_FALSE(combined);
    return combined ? Error() : combined.error();
  };
  const LoraAdapter good = RandomLora(*decoder, {"attn_q"}, 2, 1);
  EXPECT_EQ(refused(good, std::numeric_limits<float>::infinity()).code,
            ErrorCode::kInvalidArgument);
  LoraAdapter lora = good;
  lora.architecture = "gpt2";
  EXPECT_EQ(refused(lora, 1).code, ErrorCode::kMismatch);
  for (const char* name : {"blk.2.attn_q.weight", "blk.-1.attn_q.weight", "blk.0.attn_q.bias",
                           "blk.0.attn_z.weight", "blk..attn_q.weight", "token_embd.weight", ""}) {
    lora = good;
    lora.matrices[name] = good.matrices.begin()->second;
    const Error error = refused(lora, 1);
    EXPECT_EQ(error.code, ErrorCode::kMismatch);
    EXPECT_NE(error.message.find(name), std::string::npos);
  }
  lora = good;
  lora.matrices["blk.0.attn_k.weight"] = good.matrices.begin()->second;
  EXPECT_NE(refused(lora, 1).message.find("attn_k"), std::string::npos);
}

TEST_F(LoraTest, SquaredNormIsThatOfTheProduct) {
  const auto decoder = Load({.architecture = "llama"});
  const LoraAdapter lora = RandomLora(*decoder, {"ffn_down"}, 3, 5);
  const LowRankFactors& factors = lora.matrices.begin()->second;
  double sum = 0;
  for (const float x : ::ondine::testing::Product(factors, 1)) sum += static_cast<double>(x) * x;
  EXPECT_NEAR(SquaredNorm(factors), sum, 1e-4 * sum);
}

}  // namespace
}  // namespace ondine::adapters
