#include "train/lora_pool_module.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "train/twin_fixture.h"

namespace ondine::testing {
namespace {

using models::LoraSite;
using torch::Tensor;
using train::LoraPoolModule;
using train::PoolShape;

models::DecoderSpec Spec() {
  models::DecoderSpec spec;
  spec.layers = 2;
  spec.width = 24;
  spec.heads = 2;
  spec.kv_heads = 1;
  spec.head_dim = 8;
  spec.hidden = 40;
  return spec;
}

// B is zero at the start; this puts it somewhere.
void Randomize(LoraPoolModule& pool) {
  const torch::NoGradGuard no_gradient;
  torch::manual_seed(3);
  for (const LoraPoolModule::Factors& factors : pool.factors()) {
    factors.a.uniform_(-1, 1);
    factors.b.uniform_(-1, 1);
  }
}

// The addition by its definition, with the matrices formed.
Tensor Expected(const LoraPoolModule& pool, const LoraPoolModule::Factors& factors, const Tensor& x,
                const Tensor& weights) {
  const PoolShape& shape = pool.shape();
  const Tensor a = factors.a.view({shape.adapters, shape.rank, -1});
  const Tensor b = factors.b.view({-1, shape.adapters, shape.rank}).permute({1, 0, 2});
  Tensor rows = torch::empty({x.size(0), x.size(1), b.size(1)});
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    const Tensor w = weights[i].view({-1, 1, 1});
    const Tensor product = shape.blend == BlendForm::kSeparate
                               ? torch::matmul((w * b).sum(0), (w * a).sum(0))
                               : (w * torch::matmul(b, a)).sum(0);
    rows[i] = torch::linear(x[i], product) * (shape.lora_alpha / shape.rank);
  }
  return rows;
}

TEST(LoraPoolModule, BlendsByItsDefinition) {
  for (const BlendForm blend : {BlendForm::kSeparate, BlendForm::kProduct}) {
    LoraPoolModule pool(Spec(), {.adapters = 3, .rank = 4, .blend = blend}, 1, torch::kCPU);
    Randomize(pool);
    const Tensor weights = torch::softmax(torch::rand({2, 3}), -1);
    pool.SetWeights(weights);
    const Tensor x = torch::rand({2, 5, 24});
    const Tensor delta = pool.Delta(1, LoraSite::kKey, x);
    const auto& factors = pool.factors()[5];
    ASSERT_EQ(factors.layer, 1);
    ASSERT_EQ(factors.site, LoraSite::kKey);
    EXPECT_TRUE(torch::allclose(delta, Expected(pool, factors, x, weights), 1e-4, 1e-5));
    EXPECT_FALSE(pool.Delta(1, LoraSite::kGate, x).defined());
  }
}

TEST(LoraPoolModule, StartsEqualAndWithoutEffect) {
  LoraPoolModule pool(Spec(), {.adapters = 3, .rank = 4}, 1, torch::kCPU);
  pool.SetWeights(torch::ones({1, 3}) / 3);
  EXPECT_EQ(pool.Delta(0, LoraSite::kQuery, torch::rand({1, 2, 24})).abs().max().item<float>(), 0);
  const Tensor a = pool.factors()[0].a;
  EXPECT_TRUE(torch::equal(a.narrow(0, 0, 4), a.narrow(0, 8, 4)));
  const LoraPoolModule same(Spec(), {.adapters = 3, .rank = 4}, 1, torch::kCPU);
  EXPECT_TRUE(torch::equal(a, same.factors()[0].a));
}

TEST(LoraPoolModule, SimilarityIsThatOfTheProducts) {
  LoraPoolModule pool(Spec(), {.adapters = 3, .rank = 4}, 1, torch::kCPU);
  Randomize(pool);
  std::vector<Tensor> flat(3);
  for (int n = 0; n < 3; ++n) {
    std::vector<Tensor> parts;
    for (const LoraPoolModule::Factors& f : pool.factors()) {
      parts.push_back(torch::matmul(f.b.narrow(1, 4 * n, 4), f.a.narrow(0, 4 * n, 4)).flatten());
    }
    flat[static_cast<std::size_t>(n)] = torch::cat(parts);
  }
  double sum = 0;
  for (const auto& [i, j] : {std::pair{0, 1}, {0, 2}, {1, 2}}) {
    sum += torch::cosine_similarity(flat[static_cast<std::size_t>(i)],
                                    flat[static_cast<std::size_t>(j)], 0)
               .item<double>();
  }
  EXPECT_NEAR(pool.Similarity(), sum / 3, 1e-4);
}

// Derivative of the answer's log-likelihood by finite differences, at the largest element of the
// gradient of each matrix.
TEST(LoraPoolModule, GradientsEqualFiniteDifferences) {
  compute::ThreadPool threads(1);
  for (const char* architecture : {"llama", "gemma3"}) {
    for (const BlendForm blend : {BlendForm::kSeparate, BlendForm::kProduct}) {
      SCOPED_TRACE(architecture);
      const auto decoder =
          LoadTiny({.architecture = architecture, .layers = 2, .window = 8}, threads);
      const auto twin = train::DecoderTwin::Create(*decoder, torch::kCPU);
      ASSERT_TRUE(twin);
      PoolShape shape{.adapters = 2, .rank = 2, .lora_alpha = 0.2, .blend = blend};
      for (const models::LoraPlace& place : models::kLoraPlaces) {
        if (place.site > LoraSite::kOutput) shape.sites.push_back(place.site);
      }
      LoraPoolModule pool(decoder->spec(), shape, 1, torch::kCPU);
      Randomize(pool);
      pool.SetWeights(torch::tensor({0.3f, 0.7f}).view({1, 2}));
      const train::TokenTree row = Straight(SomeTokens(12));
      const train::TokenTree* rows[] = {&row};
      const auto loss = [&] {
        return -twin->LogLikelihoods(twin->Hidden(rows, {.additions = &pool})[0],
                                     torch::tensor({9, 10, 11}), torch::tensor({40, 50, 60}))
                    .sum();
      };
      loss().backward();
      const torch::NoGradGuard no_gradient;
      for (const Tensor& parameter : pool.Parameters()) {
        const Tensor gradient = parameter.grad().flatten();
        const std::int64_t i = gradient.abs().argmax().item<std::int64_t>();
        float& value = parameter.data_ptr<float>()[i];
        const float before = value, step = 1e-2f;
        value = before + step;
        const double above = loss().item<double>();
        value = before - step;
        const double below = loss().item<double>();
        value = before;
        const double slope = (above - below) / (2 * static_cast<double>(step));
        const double expected = gradient[i].item<double>();
        EXPECT_NEAR(slope, expected, 0.02 * std::abs(expected) + 2e-3);
      }
    }
  }
}

}  // namespace
}  // namespace ondine::testing
