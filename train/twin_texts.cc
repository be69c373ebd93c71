#include "train/twin_texts.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "train/tensors.h"

namespace ondine::train {
namespace {

using torch::Tensor;

std::vector<std::vector<std::int32_t>> TokensOf(std::span<const models::ClipText> texts) {
  std::vector<std::vector<std::int32_t>> tokens;
  for (const models::ClipText& text : texts) {
    tokens.emplace_back(text.tokens.begin(), text.tokens.end());
  }
  return tokens;
}

// [texts][longest]; 0 behind a text's end and where a text has none.
Tensor WeightsOf(std::span<const models::ClipText> texts) {
  std::size_t longest = 0;
  for (const models::ClipText& text : texts) longest = std::max(longest, text.tokens.size());
  Tensor weights =
      torch::zeros({static_cast<std::int64_t>(texts.size()), static_cast<std::int64_t>(longest)});
  float* row = weights.data_ptr<float>();
  for (const models::ClipText& text : texts) {
    std::ranges::copy(text.log_weights, row);
    row += longest;
  }
  return weights;
}

}  // namespace

void TwinTexts::Encode(std::span<const models::ClipText> texts, float* vectors) {
  const torch::NoGradGuard no_gradient;
  const Tensor weights = WeightsOf(texts).to(twin_.device());
  std::ranges::copy(Floats(twin_.EncodeTexts(TokensOf(texts), weights)), vectors);
}

void TwinTexts::LogWeights(std::span<const models::ClipText> texts, const float* upstream,
                           std::span<float> gradients) {
  const Tensor weights = WeightsOf(texts).to(twin_.device()).requires_grad_();
  const Tensor vectors = twin_.EncodeTexts(TokensOf(texts), weights);
  const Tensor pull =
      torch::from_blob(const_cast<float*>(upstream), vectors.sizes()).to(twin_.device());
  const Tensor gradient = torch::autograd::grad({(vectors * pull).sum()}, {weights})[0];
  const std::vector<float> values = Floats(gradient);
  auto out = gradients.begin();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(i) * weights.size(1);
    out = std::copy_n(row, texts[i].tokens.size(), out);
  }
}

}  // namespace ondine::train
