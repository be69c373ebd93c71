#include "train/clip_twin.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "base/try.h"
#include "compute/thread_pool.h"
#include "models/tensor_floats.h"
#include "train/guard.h"

namespace ondine::train {
namespace {

using torch::Tensor;

// [1][1][queries][keys]: 0, or -infinity behind the query.
Tensor CausalMask(std::int64_t time, const torch::Device& device) {
  return torch::full({1, 1, time, time}, -std::numeric_limits<float>::infinity())
      .triu(1)
      .to(device);
}

}  // namespace

ClipTwin::ClipTwin(const models::ClipSpec& spec, torch::Device device, torch::Dtype precision)
    : spec_(spec), device_(device), precision_(precision) {
  constexpr double kFirstLogitScale = 1 / 0.07;
  const auto normal = [](std::vector<std::int64_t> shape, double deviation) {
    return torch::randn(shape) * deviation;
  };
  const std::int64_t width = spec.text.width, image_width = spec.image.width;
  const double image_deviation = 1 / std::sqrt(static_cast<double>(image_width));
  token_embedding_ = Add("t.token_embd.weight", normal({spec.vocabulary, width}, 0.02));
  text_positions_ = Add("t.position_embd.weight", normal({spec.context, width}, 0.01));
  text_ = AddTower("t.", spec.text);
  text_projection_ =
      Add("text_projection.weight",
          normal({spec.projection, width}, 1 / std::sqrt(static_cast<double>(width))));

  class_embedding_ = Add("v.class_embd", normal({image_width}, image_deviation));
  patch_embedding_ =
      Add("v.patch_embd.weight",
          normal({image_width, 3, spec.patch_size, spec.patch_size},
                 1 / (3 * static_cast<double>(spec.patch_size))));  // as torch's convolutions
  patch_positions_ =
      Add("v.position_embd.weight", normal({spec.Patches() + 1, image_width}, image_deviation));
  first_norm_ = AddNorm("v.pre_ln", image_width);
  image_ = AddTower("v.", spec.image);
  image_projection_ =
      Add("visual_projection.weight", normal({spec.projection, image_width}, image_deviation));
  logit_scale_ = torch::tensor(static_cast<float>(std::log(kFirstLogitScale))).to(device);
}

Tensor ClipTwin::Add(const std::string& name, Tensor values) {
  return weights_.emplace_back(NamedWeight{name, values.to(device_)}).values;
}

ClipTwin::LinearTensors ClipTwin::AddLinear(const std::string& name, std::int64_t out,
                                            std::int64_t in, double deviation) {
  LinearTensors linear;
  linear.weight = Add(name + ".weight", torch::randn({out, in}) * deviation);
  linear.bias = Add(name + ".bias", torch::zeros({out}));
  return linear;
}

ClipTwin::NormTensors ClipTwin::AddNorm(const std::string& name, std::int64_t width) {
  NormTensors norm;
  norm.weight = Add(name + ".weight", torch::ones({width}));
  norm.bias = Add(name + ".bias", torch::zeros({width}));
  return norm;
}

ClipTwin::Tower ClipTwin::AddTower(const std::string& prefix, const models::TowerSpec& spec) {
  const double attention = 1 / std::sqrt(static_cast<double>(spec.width));
  const double output = attention / std::sqrt(2.0 * spec.layers);
  const double up = 1 / std::sqrt(2.0 * spec.width);
  Tower tower;
  tower.spec = spec;
  for (int i = 0; i < spec.layers; ++i) {
    const std::string name = prefix + "blk." + std::to_string(i) + ".";
    Block& block = tower.blocks.emplace_back();
    block.attention_norm = AddNorm(name + "ln1", spec.width);
    block.query = AddLinear(name + "attn_q", spec.width, spec.width, attention);
    block.key = AddLinear(name + "attn_k", spec.width, spec.width, attention);
    block.value = AddLinear(name + "attn_v", spec.width, spec.width, attention);
    block.output = AddLinear(name + "attn_out", spec.width, spec.width, output);
    block.mlp_norm = AddNorm(name + "ln2", spec.width);
    block.up = AddLinear(name + "ffn_up", spec.hidden, spec.width, up);
    block.down = AddLinear(name + "ffn_down", spec.width, spec.hidden, output);
  }
  tower.last_norm = AddNorm(prefix + "post_ln", spec.width);
  return tower;
}

Result<ClipTwin> ClipTwin::Load(const formats::GgufFile& file, torch::Device device,
                                torch::Dtype precision) {
  ONDINE_ASSIGN(const models::ClipSpec spec, models::ReadClipSpec(file));
  compute::ThreadPool pool(1);
  return Guarded([&]() -> Result<ClipTwin> {
    ClipTwin twin(spec, device, precision);
    for (const NamedWeight& weight : twin.weights_) {
      const formats::GgufTensor* tensor = file.FindTensor(weight.name);
      if (tensor == nullptr) {
        return MakeError(ErrorCode::kCorrupt, "has no tensor " + weight.name, file.path());
      }
      std::vector<std::int64_t> shape(tensor->shape.begin(), tensor->shape.begin() + tensor->dims);
      std::ranges::reverse(shape);
      if (weight.values.sizes() != shape) {
        return MakeError(ErrorCode::kCorrupt, "has another shape of " + weight.name + " than told",
                         file.path());
      }
      ONDINE_ASSIGN(const std::vector<float> values, models::ReadFloats(file, *tensor, pool));
      weight.values.copy_(torch::tensor(values).view(shape));
    }
    twin.logit_scale_.fill_(std::log(spec.logit_scale));
    return twin;
  });
}

Tensor ClipTwin::EncodePictures(const Tensor& pixels, const Tensor& kept) const {
  const std::int64_t count = pixels.size(0), patch = spec_.patch_size, width = spec_.image.width;
  const std::int64_t side = spec_.image_size / patch, area = 3 * patch * patch;
  // The convolution's windows do not overlap: it is a product with patches.
  Tensor patches = pixels.view({count, 3, side, patch, side, patch})
                       .permute({0, 2, 4, 1, 3, 5})
                       .reshape({count, side * side, area});
  Tensor positions = patch_positions_.narrow(0, 1, side * side).unsqueeze(0);
  if (kept.defined()) {
    patches = patches.gather(1, kept.unsqueeze(2).expand({-1, -1, area}));
    positions = torch::embedding(patch_positions_, kept + 1);
  }
  const Tensor embedded =
      Product(patches, patch_embedding_.view({width, area}), {}).to(torch::kFloat) + positions;
  const Tensor first = (class_embedding_ + patch_positions_.select(0, 0)).expand({count, 1, width});
  const Tensor x = Norm(image_, first_norm_, torch::cat({first, embedded}, 1));
  return Unit(torch::linear(Run(image_, x, torch::zeros({count}, torch::kLong).to(device_), {}),
                            image_projection_));
}

Tensor ClipTwin::EncodeTexts(const std::vector<std::vector<std::int32_t>>& texts,
                             const Tensor& log_weights) const {
  constexpr std::size_t kGroup = 64;  // texts
  std::vector<std::int64_t> order(texts.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::int64_t i) { return texts[static_cast<std::size_t>(i)].size(); };
  std::ranges::stable_sort(order, {}, length);
  std::vector<Tensor> groups;
  for (std::size_t begin = 0; begin < order.size(); begin += kGroup) {
    const auto group = std::span(order).subspan(begin, std::min(kGroup, order.size() - begin));
    // The tower is causal, so that what stands behind a text's end changes nothing.
    const auto count = static_cast<std::int64_t>(group.size());
    const auto time = static_cast<std::int64_t>(length(group.back()));
    Tensor tokens = torch::zeros({count, time}, torch::kLong);
    Tensor ends = torch::empty({count}, torch::kLong);
    for (std::int64_t row = 0; row < count; ++row) {
      const auto& text = texts[static_cast<std::size_t>(group[static_cast<std::size_t>(row)])];
      std::ranges::copy(text, tokens.data_ptr<std::int64_t>() + row * time);
      ends.data_ptr<std::int64_t>()[row] = static_cast<std::int64_t>(text.size()) - 1;
    }
    Tensor weights;
    if (log_weights.defined()) {
      const std::vector<std::int64_t> rows(group.begin(), group.end());
      weights = log_weights.index_select(0, torch::tensor(rows).to(device_)).narrow(1, 0, time);
    }
    groups.push_back(EncodeTextGroup(tokens.to(device_), ends.to(device_), weights));
  }
  const Tensor places = torch::tensor(order).to(device_).argsort();
  return torch::cat(groups).index_select(0, places);
}

// The text's vectors from tokens [texts][longest], padded, where each end token stands [texts], and
// log weights [texts][longest] or undefined.
Tensor ClipTwin::EncodeTextGroup(const Tensor& tokens, const Tensor& ends,
                                 const Tensor& log_weights) const {
  const std::int64_t time = tokens.size(1);
  Tensor mask = CausalMask(time, device_);
  if (log_weights.defined()) mask = mask + log_weights.unsqueeze(1).unsqueeze(1);
  const Tensor x = torch::embedding(token_embedding_, tokens) + text_positions_.narrow(0, 0, time);
  return Unit(torch::linear(Run(text_, x, ends, mask), text_projection_));
}

// x [rows][time][width], mask [rows or 1][1][time][time] or undefined where all is seen alike;
// gives the last norm's outputs [rows][width] for row `wanted` of each.
Tensor ClipTwin::Run(const Tower& tower, Tensor x, const Tensor& wanted, const Tensor& mask) const {
  for (const Block& block : tower.blocks) {
    const Tensor normed = Norm(tower, block.attention_norm, x);
    Tensor queries = normed, seen = mask;
    if (&block == &tower.blocks.back()) {
      // From here on the other rows matter as keys and values alone.
      const auto pick = [&](const Tensor& from) {
        return from.gather(1, wanted.view({-1, 1, 1}).expand({-1, 1, from.size(2)}));
      };
      x = pick(x);
      queries = pick(normed);
      if (mask.defined()) {
        const std::int64_t time = mask.size(3);
        seen = mask.expand({wanted.size(0), 1, time, time})
                   .gather(2, wanted.view({-1, 1, 1, 1}).expand({-1, 1, 1, time}));
      }
    }
    x = x + Attention(tower, block, queries, normed, seen);
    x = x + Mlp(block, Norm(tower, block.mlp_norm, x));
  }
  return Norm(tower, tower.last_norm, x).squeeze(1);
}

// Of queries [rows][some][width] over x [rows][time][width].
Tensor ClipTwin::Attention(const Tower& tower, const Block& block, const Tensor& queries,
                           const Tensor& x, const Tensor& mask) const {
  const std::int64_t rows = x.size(0), heads = tower.spec.heads, dim = tower.spec.head_dim();
  const auto by_head = [&](const Tensor& product) {
    return product.view({rows, product.size(1), -1, heads, dim}).permute({2, 0, 3, 1, 4});
  };
  const Tensor q = by_head(Product(queries, block.query.weight, block.query.bias)).squeeze(0);
  // One product for both.
  const Tensor kv = by_head(Product(x, torch::cat({block.key.weight, block.value.weight}),
                                    torch::cat({block.key.bias, block.value.bias})));
  Tensor scores = torch::matmul(q, kv.select(0, 0).transpose(-1, -2)).to(torch::kFloat) /
                  std::sqrt(static_cast<double>(dim));
  if (mask.defined()) scores = scores + mask;
  const Tensor attended = torch::matmul(torch::softmax(scores, -1).to(precision_), kv.select(0, 1));
  return Product(attended.transpose(1, 2).flatten(2), block.output.weight, block.output.bias)
      .to(torch::kFloat);
}

Tensor ClipTwin::Mlp(const Block& block, const Tensor& x) const {
  constexpr double kQuick = 1.702;
  const Tensor up = Product(x, block.up.weight, block.up.bias);
  const Tensor activated = spec_.activation == models::ClipActivation::kGelu
                               ? torch::gelu(up)
                               : torch::silu(up * kQuick) / kQuick;
  return Product(activated, block.down.weight, block.down.bias).to(torch::kFloat);
}

// In the precision of products, which its result has too.
Tensor ClipTwin::Product(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
  return torch::linear(x.to(precision_), weight.to(precision_),
                       bias.defined() ? bias.to(precision_) : bias);
}

Tensor ClipTwin::Norm(const Tower& tower, const NormTensors& norm, const Tensor& x) {
  return torch::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, tower.spec.norm_epsilon);
}

Tensor ClipTwin::Unit(const Tensor& vectors) {
  return vectors / vectors.norm(2, -1, true);
}

}  // namespace ondine::train
