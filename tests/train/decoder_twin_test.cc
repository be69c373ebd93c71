#include "train/decoder_twin.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "adapters/adapter_fixture.h"
#include "models/decoder_pass.h"
#include "train/tensors.h"
#include "train/tuned_model.h"
#include "train/twin_fixture.h"

namespace ondine::testing {
namespace {

using torch::Tensor;
using train::DecoderTwin;
using train::TokenTree;

struct Case {
  const char* name;
  TinyModel model;
};

std::vector<Case> Cases() {
  return {
      {"llama", {.architecture = "llama"}},
      {"llama_factors", {.architecture = "llama", .rope_factors = true, .separate_head = true}},
      {"qwen2", {.architecture = "qwen2", .width = 128, .seed = 2}},
      {"qwen3", {.architecture = "qwen3", .seed = 3}},
      {"gemma3", {.architecture = "gemma3", .layers = 7, .window = 16, .seed = 4}},
      {"gpt2", {.architecture = "gpt2", .width = 128, .kv_heads = 4, .seed = 5}},
  };
}

// Logits [tokens][vocabulary] of the engine, in passes so short that attention computes in floats.
Tensor EngineLogits(const std::shared_ptr<const models::Decoder>& decoder,
                    std::span<const std::int32_t> tokens, compute::ThreadPool& pool,
                    std::shared_ptr<const models::Lora> lora = nullptr) {
  models::DecoderPass pass(decoder, pool, std::move(lora));
  models::KvCache cache(decoder->spec(), {64, compute::KvType::kF16, models::Positions::kReset});
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < tokens.size(); i += compute::kFewQueries) {
    const auto part = tokens.subspan(i, compute::kFewQueries);
    const auto n = static_cast<std::int64_t>(part.size());
    EXPECT_TRUE(cache.Prepare(n));
    pass.Run(part, cache);
    parts.push_back(torch::empty({n, decoder->vocabulary()}));
    pass.Logits(0, n,
                {parts.back().data_ptr<float>(), static_cast<std::size_t>(parts.back().numel())});
  }
  return torch::cat(parts);
}

double RelativeDifference(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

// Rounds keys and values to 16 bits, as the engine's cache does. Keys that have a norm behind the
// product are left alone: the addition comes before it.
class HalfCache : public train::Additions {
 public:
  explicit HalfCache(const models::Decoder& decoder) {
    for (const models::DecoderLayer& layer : decoder.layers()) {
      if (!decoder.spec().qk_norm) Add(layer.key, layer.key_bias);
      Add(layer.value, layer.value_bias);
    }
    per_layer_ = decoder.spec().qk_norm ? 1 : 2;
  }
  Tensor Delta(int layer, models::LoraSite site, const Tensor& x) const override {
    const bool key = site == models::LoraSite::kKey && per_layer_ == 2;
    if (!key && site != models::LoraSite::kValue) return {};
    const auto& [weights, bias] =
        products_[static_cast<std::size_t>(layer * per_layer_ + (key ? 0 : per_layer_ - 1))];
    const Tensor y = torch::linear(x, weights, bias);
    return y.to(torch::kHalf).to(torch::kFloat) - y;
  }

 private:
  void Add(const compute::Linear& linear, const std::vector<float>& bias) {
    const Tensor weights = torch::empty({linear.out(), linear.in()});
    for (std::int64_t i = 0; i < linear.out(); ++i) {
      linear.GetRow(i, weights.data_ptr<float>() + i * linear.in());
    }
    products_.emplace_back(weights, bias.empty() ? Tensor() : torch::tensor(bias));
  }

  std::vector<std::pair<Tensor, Tensor>> products_;
  int per_layer_ = 2;
};

TEST(DecoderTwin, LogitsEqualTheEngines) {
  const torch::NoGradGuard no_gradient;
  compute::ThreadPool pool(1);
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const auto decoder = LoadTiny(c.model, pool);
    const auto twin = DecoderTwin::Create(*decoder, torch::kCPU);
    ASSERT_TRUE(twin) << twin.error().ToString();
    const std::vector<std::int32_t> tokens = SomeTokens(60);
    const TokenTree row = Straight(tokens);
    const TokenTree* rows[] = {&row};
    const HalfCache half(*decoder);
    const Tensor logits = twin->Logits(twin->Hidden(rows, {.additions = &half})[0]);
    const double difference = RelativeDifference(logits, EngineLogits(decoder, tokens, pool));
    // What is left are values that fall on the other side of a rounding; where keys have a norm,
    // their rounding is not imitated.
    EXPECT_LT(difference, decoder->spec().qk_norm ? 1e-3 : 1e-4);
  }
}

// An adapter of the engine, as training sees it.
class LoraAdditions : public train::Additions {
 public:
  explicit LoraAdditions(const adapters::LoraAdapter& lora) : lora_(lora) {}
  Tensor Delta(int layer, models::LoraSite site, const Tensor& x) const override {
    const adapters::LowRankFactors& factors =
        lora_.matrices.at(models::LoraTensorName(layer, site));
    const Tensor a = torch::tensor(factors.a).view({factors.rank, factors.in});
    const Tensor b = torch::tensor(factors.b).view({factors.out, factors.rank});
    return lora_.Factor(factors) * torch::linear(torch::linear(x, a), b);
  }

 private:
  const adapters::LoraAdapter& lora_;
};

TEST(DecoderTwin, AdaptersDoWhatTheyDoInTheEngine) {
  const torch::NoGradGuard no_gradient;
  compute::ThreadPool pool(1);
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const auto decoder = LoadTiny(c.model, pool);
    const auto twin = DecoderTwin::Create(*decoder, torch::kCPU);
    ASSERT_TRUE(twin) << twin.error().ToString();
    const auto lora = RandomLora(*decoder, models::LoraTargetNames(decoder->spec()), 4, 7);
    const auto combined =
        adapters::Combine(std::vector<adapters::ScaledLora>{{&lora, 1}}, *decoder, pool);
    ASSERT_TRUE(combined);
    const std::vector<std::int32_t> tokens = SomeTokens(60);
    const TokenTree row = Straight(tokens);
    const TokenTree* rows[] = {&row};
    const LoraAdditions additions(lora);
    const Tensor logits = twin->Logits(twin->Hidden(rows, {.additions = &additions})[0]);
    // The rounding of keys and values is not imitated here.
    EXPECT_LT(RelativeDifference(logits, EngineLogits(decoder, tokens, pool, *combined)), 3e-3);
    EXPECT_GT(RelativeDifference(logits, EngineLogits(decoder, tokens, pool)), 0.1);
  }
}

// Every text of a tree gets what it would get alone, whatever stands beside it in the batch.
TEST(DecoderTwin, BranchesAndPaddingChangeNothing) {
  const torch::NoGradGuard no_gradient;
  compute::ThreadPool pool(1);
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const auto decoder = LoadTiny(c.model, pool);
    const auto twin = DecoderTwin::Create(*decoder, torch::kCPU);
    ASSERT_TRUE(twin);
    std::vector<train::OptionTokens> options;
    for (const int length : {3, 1, 5}) {
      std::vector<std::int32_t> tokens = SomeTokens(20);
      for (const std::int32_t token : SomeTokens(length, 90 + length)) tokens.push_back(token);
      options.push_back({tokens, 20});
    }
    const train::ChoiceTree choice = BuildChoiceTree(options, 0);
    const TokenTree longer = Straight(SomeTokens(40));
    const TokenTree* rows[] = {&choice.tree, &longer};
    const Tensor hidden = twin->Hidden(rows)[0];
    for (std::size_t k = 0; k < options.size(); ++k) {
      const TokenTree alone = Straight(options[k].tokens);
      const TokenTree* one[] = {&alone};
      const Tensor expected = torch::log_softmax(twin->Logits(twin->Hidden(one)[0]), -1);
      for (std::size_t i = 0; i < choice.options[k].size(); ++i) {
        const train::Prediction& prediction = choice.options[k][i];
        const Tensor got = twin->LogLikelihoods(
            hidden, torch::tensor({static_cast<std::int64_t>(prediction.source)}),
            torch::tensor({static_cast<std::int64_t>(prediction.target)}));
        EXPECT_NEAR(got.item<double>(),
                    expected[static_cast<std::int64_t>(19 + i)][prediction.target].item<double>(),
                    2e-4);
      }
    }
  }
}

// Each weight once, under the name that its file has for it.
TEST(DecoderTwin, WeightsMakeUpTheModelsFile) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const TempDir folder;
    ASSERT_TRUE(WriteTinyModel(c.model, folder.File("tiny.gguf")));
    const auto file = formats::GgufFile::Open(folder.File("tiny.gguf"));
    compute::ThreadPool pool(1);
    const auto decoder = models::Decoder::Load(*file, pool);
    const auto twin = DecoderTwin::Create(**decoder, torch::kCPU);
    train::TunedWeights weights;
    for (const train::NamedWeight& weight : twin->Weights()) {
      EXPECT_TRUE(weights.emplace(weight.name, train::Floats(weight.values + 1)).second)
          << weight.name;
    }
    ASSERT_TRUE(train::WriteTunedModel(*file, weights, folder.File("tuned.gguf")));
    const GgufParts before = GgufParts::Read(folder.File("tiny.gguf"));
    const GgufParts after = GgufParts::Read(folder.File("tuned.gguf"));
    for (const auto& [name, tensor] : before.tensors) {
      if (name == "rope_freqs.weight") continue;  // not learned
      const Tensor expected = torch::tensor(before.Floats(name)) + 1;
      EXPECT_TRUE(expected.equal(torch::tensor(after.Floats(name)))) << name;
    }
  }
}

}  // namespace
}  // namespace ondine::testing
