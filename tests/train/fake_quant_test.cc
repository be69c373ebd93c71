#include "train/fake_quant.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <cmath>
#include <vector>

#include "compute/linear.h"
#include "compute/static_code.h"
#include "quant/range.h"
#include "quant/weights.h"
#include "train/fused_codes.h"

namespace ondine::testing {
namespace {

using torch::Tensor;

Tensor Scalar(float value) {
  return torch::tensor(value);
}

TEST(FakeQuant, HasTheEnginesCodes) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({5000}) * 3;
  for (const int bits : {8, 6}) {
    for (const quant::Range range : {quant::Range{-7.3f, 9.1f}, {0, 4.4f}, {-2.2f, 0}, {0, 0}}) {
      const Tensor coded = train::FakeCode(x, Scalar(range.low), Scalar(range.high), bits).Values();
      const compute::StaticCode code = quant::CodeOf(range, bits);
      std::vector<std::uint8_t> q(5000);
      compute::Encode(code, x.data_ptr<float>(), 5000, q.data());
      for (std::size_t i = 0; i < q.size(); ++i) {
        const float expected = static_cast<float>(q[i] - code.zero) * code.scale;
        ASSERT_EQ(coded.data_ptr<float>()[i], expected) << i;
      }
    }
  }
}

TEST(FakeQuant, HasTheEnginesWeights) {
  torch::manual_seed(2);
  Tensor w = torch::randn({13, 40});
  w[5].zero_();
  for (const int bits : {8, 4}) {
    for (const bool per_channel : {true, false}) {
      const Tensor coded = train::FakeWeights(w, bits, per_channel).Values();
      const quant::WeightCodes codes =
          quant::EncodeWeights({w.data_ptr<float>(), 13 * 40}, 13, bits, per_channel);
      for (std::size_t i = 0; i < codes.codes.size(); ++i) {
        const float scale = codes.scales[per_channel ? i / 40 : 0];
        ASSERT_EQ(coded.data_ptr<float>()[i], static_cast<float>(codes.codes[i]) * scale) << i;
      }
    }
  }
}

// Gradients of random sums of outputs with respect to inputs.
std::vector<Tensor> Gradients(const std::vector<Tensor>& outputs,
                              const std::vector<Tensor>& inputs) {
  torch::manual_seed(7);
  Tensor sum = torch::zeros({});
  for (const Tensor& output : outputs) sum = sum + (output * torch::randn(output.sizes())).sum();
  return torch::autograd::grad({sum}, inputs, {}, {}, false, /*allow_unused=*/true);
}

// Within the rounding of sums whose terms cancel out.
void ExpectClose(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].sizes(), b[i].sizes());
    EXPECT_LE((a[i] - b[i]).abs().max().item<float>(), 2e-4 * b[i].abs().max().item<float>()) << i;
  }
}

TEST(FakeQuant, FusedStepsAndGradientsAreThoseOfTorchsOperations) {
  torch::manual_seed(5);
  for (const bool keeps_outliers : {false, true}) {
    for (const std::int64_t width : {1, 7, 16, 83}) {
      const Tensor x = (torch::randn({5, 3, width}) * 40).requires_grad_();
      const Tensor scale = Scalar(0.31f).requires_grad_(), zero = Scalar(97).requires_grad_();
      const Tensor fused = train::FusedSteps(x, scale, zero, 255, keeps_outliers);
      const Tensor composed = train::ComposedSteps(x, scale, zero, 255, keeps_outliers);
      EXPECT_TRUE(fused.equal(composed));
      if (keeps_outliers) {  // the zero only says where the range lies
        ExpectClose(Gradients({fused}, {x, scale}), Gradients({composed}, {x, scale}));
      } else {
        ExpectClose(Gradients({fused}, {x, scale, zero}), Gradients({composed}, {x, scale, zero}));
      }
    }
  }
}

TEST(FakeQuant, FusedWeightsAndGradientsAreThoseOfTorchsOperations) {
  torch::manual_seed(6);
  for (const bool per_channel : {true, false}) {
    for (const std::int64_t width : {1, 7, 16, 83}) {
      Tensor values = torch::randn({6, width});
      values[2].zero_();
      if (width > 1) values[3][1] = -(values[3][0] = 9);  // two that are the largest
      const Tensor w = values.t().contiguous().t().requires_grad_();
      const auto [steps, scale] = train::FusedWeightSteps(w, 127, per_channel);
      const auto [expected, expected_scale] = train::ComposedWeightSteps(w, 127, per_channel);
      EXPECT_TRUE(steps.equal(expected));
      EXPECT_TRUE(scale.equal(expected_scale));
      ExpectClose(Gradients({steps, scale}, {w}), Gradients({expected, expected_scale}, {w}));
    }
  }
}

TEST(FakeQuant, MultipliesAsTheEnginesIntegers) {
  torch::manual_seed(4);
  const Tensor x = torch::randn({9, 200}) * 2, w = torch::randn({70, 200});
  const quant::Range range = {-5.1f, 6.2f};
  const quant::WeightCodes weights =
      quant::EncodeWeights({w.data_ptr<float>(), 70 * 200}, 70, 8, true);
  compute::ThreadPool pool(2);
  for (const bool keeps_outliers : {false, true}) {
    const Tensor expected = torch::linear(
        train::FakeCode(x, Scalar(range.low), Scalar(range.high), 8, keeps_outliers).Values(),
        train::FakeWeights(w, 8, true).Values());
    compute::StaticCode code = quant::CodeOf(range, 8);
    code.keeps_outliers = keeps_outliers;
    const auto linear = compute::Linear::CreateInt8(
        200, 70, std::as_bytes(std::span(weights.codes)), weights.scales, code, pool);
    ASSERT_TRUE(linear);
    compute::Activations rows;
    rows.Resize(9, 200);
    for (std::int64_t i = 0; i < 9; ++i) {
      std::copy_n(x.data_ptr<float>() + i * 200, 200, rows.Row(i));
      rows.FinishStatic(i, code);
    }
    Tensor y = torch::empty({9, 70});
    pool.Run([&](compute::Worker& worker) {
      linear->Multiply(worker, rows, compute::Store::kAssign, y.data_ptr<float>(), 70);
    });
    EXPECT_LT((y - expected).abs().max().item<float>(), 1e-5 * expected.abs().max().item<float>());
  }
}

TEST(FakeQuant, KeepsOutliersAndTheirGradients) {
  torch::manual_seed(5);
  const Tensor x = (torch::randn({4000}) * 2).requires_grad_();
  const auto [low, high] = train::RangeWithoutOutliers(x, 0.01);
  const Tensor y = train::FakeCode(x, low, high, 8, true).Values();
  const Tensor outside = (x < low).logical_or(x > high);
  EXPECT_EQ(outside.sum().item<int>(), 40);
  const Tensor error = (y - x).abs().detach(), step = (high - low) / 255;
  EXPECT_GT(error.max().item<float>(), 0.4 * step.item<float>());
  EXPECT_LT(error.max().item<float>(), 0.51 * step.item<float>());
  EXPECT_LT(error.masked_select(outside).max().item<float>(), 1e-5);
  y.sum().backward();
  EXPECT_LT((x.grad() - 1).abs().max().item<float>(), 1e-5);
  // What lies on one side of zero alone has a range that ends there.
  EXPECT_EQ(train::RangeWithoutOutliers(x.abs() + 3, 0.01).first.item<float>(), 0);
}

TEST(FakeQuant, HasTheGradientsOfClipping) {
  torch::manual_seed(3);
  const Tensor x = (torch::randn({200}) * 2).requires_grad_();
  const Tensor low = Scalar(-1.5f).requires_grad_(), high = Scalar(2.5f).requires_grad_();
  const Tensor weights = torch::randn({200});
  (train::FakeCode(x, low, high, 16).Values() * weights).sum().backward();
  const Tensor clipped_x = x.detach().clone().requires_grad_();
  const Tensor a = Scalar(-1.5f).requires_grad_(), b = Scalar(2.5f).requires_grad_();
  (torch::minimum(torch::maximum(clipped_x, a), b) * weights).sum().backward();
  EXPECT_TRUE(torch::allclose(x.grad(), clipped_x.grad(), 1e-3, 1e-3));
  EXPECT_NEAR(low.grad().item<float>(), a.grad().item<float>(), 1e-2);
  EXPECT_NEAR(high.grad().item<float>(), b.grad().item<float>(), 1e-2);
}

}  // namespace
}  // namespace ondine::testing
