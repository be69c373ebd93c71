#include "models/clip_pass.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "compute/elementwise.h"
#include "compute/short_attention.h"
#include "models/unit_length.h"

namespace ondine::models {

using compute::Activations;
using compute::Store;
using compute::Worker;

namespace {

void Finish(Activations& x, std::int64_t row, const compute::Linear& reader) {
  if (const compute::StaticCode* code = reader.input_code()) {
    x.FinishStatic(row, *code);
  } else {
    x.Finish(row);
  }
}

using Activation = void (*)(std::span<float>);
Activation ActivationOf(ClipActivation activation) {
  return activation == ClipActivation::kQuickGelu ? compute::QuickGelu : compute::ExactGelu;
}

}  // namespace

void ClipPass::EncodeTexts(std::span<const ClipText> texts, const WeightPlace& place,
                           float* vectors, ClipTrace* trace, InputObserver* observer) {
  RunTexts(texts, {.place = place, .trace = trace, .observer = observer}, vectors);
}

std::vector<float> ClipPass::AttentionShares(const ClipText& text, const WeightPlace& place) {
  const TowerSpec& spec = clip_->text().spec;
  const std::size_t tokens = text.tokens.size();
  std::vector<float> vector(static_cast<std::size_t>(clip_->spec().projection));
  std::vector<float> by_head(static_cast<std::size_t>(spec.layers * spec.heads) * tokens);
  RunTexts({&text, 1}, {.place = place, .shares = by_head.data()}, vector.data());
  std::vector<float> shares(static_cast<std::size_t>(spec.layers) * tokens);
  for (std::size_t i = 0; i < by_head.size(); ++i) {
    const std::size_t block = i / (tokens * static_cast<std::size_t>(spec.heads));
    shares[block * tokens + i % tokens] += by_head[i] / static_cast<float>(spec.heads);
  }
  return shares;
}

void ClipPass::RunTexts(std::span<const ClipText> texts, Options options, float* vectors) {
  begins_.assign(1, 0);
  bias_.clear();
  bool weighted = false;
  for (const ClipText& text : texts) {
    assert(text.tokens.size() >= 2 &&
           text.tokens.size() <= static_cast<std::size_t>(clip_->spec().context));
    begins_.push_back(begins_.back() + static_cast<std::int64_t>(text.tokens.size()));
    bias_.insert(bias_.end(), text.log_weights.begin(), text.log_weights.end());
    bias_.resize(static_cast<std::size_t>(begins_.back()), 0.0f);
    weighted = weighted || !text.log_weights.empty();
  }
  const Tower& tower = clip_->text();
  Prepare(tower);
  options.causal = true;
  options.bias = weighted ? bias_.data() : nullptr;
  if (options.trace != nullptr) Prepare(*options.trace);
  pool_.Run([&](Worker& worker) {
    EmbedTexts(worker, texts);
    worker.Barrier();
    RunBlocks(worker, tower, options);
    if (options.trace != nullptr) Keep(worker, residual_.data(), options.trace->output);
    Project(worker, tower, Pooled::kLast, vectors, options.trace);
  });
}

void ClipPass::EncodePictures(std::span<const std::uint8_t* const> pictures, float* vectors,
                              InputObserver* observer) {
  const Tower& tower = clip_->image();
  begins_.assign(1, 0);
  while (begins_.size() <= pictures.size()) {
    begins_.push_back(begins_.back() + clip_->spec().Patches() + 1);
  }
  Prepare(tower);
  pixels_.Resize(static_cast<std::int64_t>(pictures.size()) * clip_->spec().Patches(),
                 clip_->patches().in());
  pool_.Run([&](Worker& worker) {
    EmbedPictures(worker, pictures);
    RunBlocks(worker, tower, {.observer = observer});
    Project(worker, tower, Pooled::kFirst, vectors, nullptr);
  });
}

void ClipPass::Prepare(const Tower& tower) {
  const std::int64_t rows = begins_.back(), width = tower.spec.width;
  residual_.resize(static_cast<std::size_t>(rows * width));
  projection_.resize(static_cast<std::size_t>(rows * 3 * width));
  normed_.Resize(rows, width);
  attended_.Resize(rows, width);
  hidden_.Resize(rows, tower.spec.hidden);
  pooled_.Resize(static_cast<std::int64_t>(begins_.size()) - 1, width);
}

void ClipPass::Prepare(ClipTrace& trace) const {
  const TowerSpec& spec = clip_->text().spec;
  const auto rows = static_cast<std::size_t>(begins_.back());
  const auto width = static_cast<std::size_t>(spec.width);
  trace.begins = begins_;
  trace.bias = bias_;
  trace.output.resize(rows * width);
  trace.lengths.resize(begins_.size() - 1);
  trace.blocks.resize(static_cast<std::size_t>(spec.layers));
  for (ClipTrace::Block& block : trace.blocks) {
    block.input.resize(rows * width);
    block.qkv.resize(rows * 3 * width);
    block.middle.resize(rows * width);
    block.up.resize(rows * static_cast<std::size_t>(spec.hidden));
  }
}

void ClipPass::Keep(const Worker& worker, const float* rows, std::vector<float>& copy) const {
  const auto width = static_cast<std::int64_t>(copy.size()) / begins_.back();
  const Worker::Range share = worker.Share(begins_.back());
  std::copy(rows + share.begin * width, rows + share.end * width,
            copy.begin() + share.begin * width);
}

void ClipPass::EmbedTexts(const Worker& worker, std::span<const ClipText> texts) {
  const std::int64_t width = clip_->text().spec.width;
  std::vector<float> position(static_cast<std::size_t>(width));
  const Worker::Range share = worker.Share(static_cast<std::int64_t>(texts.size()));
  for (std::int64_t text = share.begin; text < share.end; ++text) {
    float* row = residual_.data() + begins_[static_cast<std::size_t>(text)] * width;
    const auto& tokens = texts[static_cast<std::size_t>(text)].tokens;
    for (std::size_t i = 0; i < tokens.size(); ++i, row += width) {
      clip_->tokens().GetRow(tokens[i], row);
      clip_->text().positions.GetRow(static_cast<std::int64_t>(i), position.data());
      compute::Add(position, {row, position.size()});
    }
  }
}

void ClipPass::EmbedPictures(Worker& worker, std::span<const std::uint8_t* const> pictures) {
  const ClipSpec& spec = clip_->spec();
  const std::int64_t width = spec.image.width, size = spec.image_size, patch = spec.patch_size;
  const std::int64_t across = size / patch, patches = spec.Patches(), rows = patches + 1;
  const auto count = static_cast<std::int64_t>(pictures.size());

  Worker::Range share = worker.Share(count * patches);
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const std::int64_t top = i % patches / across * patch, left = i % across * patch;
    const std::uint8_t* picture = pictures[static_cast<std::size_t>(i / patches)];
    float* out = pixels_.Row(i);
    for (std::size_t colour = 0; colour < 3; ++colour) {
      const float scale = 1 / (255 * spec.deviation[colour]);
      const float shift = spec.mean[colour] / spec.deviation[colour];
      for (std::int64_t y = top; y < top + patch; ++y) {
        const std::uint8_t* in = picture + (y * size + left) * 3 + colour;
        for (std::int64_t x = 0; x < patch; ++x) {
          *out++ = static_cast<float>(in[x * 3]) * scale - shift;
        }
      }
    }
    Finish(pixels_, i, clip_->patches());
  }
  worker.Barrier();
  // Patches of all pictures lie behind one another, their rows in the residual with a token
  // between.
  clip_->patches().Multiply(worker, pixels_, Store::kAssign, projection_.data(), width);
  worker.Barrier();

  std::vector<float> position(static_cast<std::size_t>(width));
  share = worker.Share(count * rows);
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    float* row = residual_.data() + i * width;
    const std::int64_t place = i % rows;
    if (place == 0) {
      std::copy(clip_->image_token().begin(), clip_->image_token().end(), row);
    } else {
      std::copy_n(projection_.data() + (i / rows * patches + place - 1) * width, width, row);
    }
    clip_->image().positions.GetRow(place, position.data());
    const std::span<float> values(row, static_cast<std::size_t>(width));
    compute::Add(position, values);
    models::Normalize(clip_->patch_norm(), spec.image.norm_epsilon, values, values);
  }
  worker.Barrier();
}

void ClipPass::RunBlocks(Worker& worker, const Tower& tower, const Options& options) {
  for (std::size_t i = 0; i < tower.layers.size(); ++i) RunBlock(worker, tower, i, options);
}

void ClipPass::RunBlock(Worker& worker, const Tower& tower, std::size_t index,
                        const Options& options) {
  const TowerSpec& spec = tower.spec;
  const TowerLayer& layer = tower.layers[index];
  const std::int64_t width = spec.width, stride = 3 * width, rows = begins_.back();
  float* q = projection_.data();
  float* k = q + width;
  float* v = k + width;
  ClipTrace::Block* trace = options.trace == nullptr ? nullptr : &options.trace->blocks[index];

  if (trace != nullptr) Keep(worker, residual_.data(), trace->input);
  Normalize(worker, layer.attention_norm, spec.norm_epsilon, layer.query);
  worker.Barrier();
  options.Observe(worker, index, CodeSite::kAttention, normed_);
  layer.query.Multiply(worker, normed_, Store::kAssign, q, stride, layer.query_bias);
  layer.key.Multiply(worker, normed_, Store::kAssign, k, stride, layer.key_bias);
  layer.value.Multiply(worker, normed_, Store::kAssign, v, stride, layer.value_bias);
  if (trace != nullptr) {
    worker.Barrier();
    Keep(worker, projection_.data(), trace->qkv);
  }
  worker.Barrier();

  compute::ShortAttentionInput input;
  input.q = q;
  input.k = k;
  input.v = v;
  input.stride = stride;
  input.begins = begins_;
  input.heads = spec.heads;
  input.head_dim = spec.head_dim();
  input.scale = 1 / std::sqrt(static_cast<float>(spec.head_dim()));
  input.causal = options.causal;
  input.bias = static_cast<int>(index) < options.place.first_block ? nullptr : options.bias;
  input.bias_for_last_row_only = options.place.for_last_row_only;
  float* shares = options.shares == nullptr
                      ? nullptr
                      : options.shares + static_cast<std::int64_t>(index) * spec.heads * rows;
  compute::AttendShort(worker, input, attended_.Row(0), width, shares);
  worker.Barrier();
  const Worker::Range share = worker.Share(rows);
  for (std::int64_t i = share.begin; i < share.end; ++i) Finish(attended_, i, layer.output);
  worker.Barrier();
  options.Observe(worker, index, CodeSite::kOutput, attended_);
  layer.output.Multiply(worker, attended_, Store::kAdd, residual_.data(), width, layer.output_bias);
  worker.Barrier();
  Mlp(worker, tower, index, options);
}

void ClipPass::Mlp(Worker& worker, const Tower& tower, std::size_t index, const Options& options) {
  const TowerLayer& layer = tower.layers[index];
  ClipTrace::Block* trace = options.trace == nullptr ? nullptr : &options.trace->blocks[index];
  if (trace != nullptr) Keep(worker, residual_.data(), trace->middle);
  Normalize(worker, layer.mlp_norm, tower.spec.norm_epsilon, layer.up);
  worker.Barrier();
  options.Observe(worker, index, CodeSite::kMlp, normed_);
  layer.up.MultiplyActivated(worker, normed_, layer.up_bias, ActivationOf(clip_->spec().activation),
                             hidden_, layer.down.input_code());
  worker.Barrier();
  // Once more, as what goes into the activation is kept nowhere: learning pays for it, so that
  // everything else has one product and one pass over it.
  if (trace != nullptr) {
    layer.up.Multiply(worker, normed_, Store::kAssign, trace->up.data(), tower.spec.hidden,
                      layer.up_bias);
  }
  if (layer.down.input_code() == nullptr) {
    const Worker::Range share = worker.Share(hidden_.rows());
    for (std::int64_t i = share.begin; i < share.end; ++i) hidden_.Finish(i);
    worker.Barrier();
  }
  options.Observe(worker, index, CodeSite::kDown, hidden_);
  layer.down.Multiply(worker, hidden_, Store::kAdd, residual_.data(), tower.spec.width,
                      layer.down_bias);
  worker.Barrier();
}

void ClipPass::Normalize(const Worker& worker, const NormWeights& norm, float epsilon,
                         const compute::Linear& reader) {
  const std::size_t width = norm.weight.size();
  const Worker::Range share = worker.Share(begins_.back());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    models::Normalize(norm, epsilon,
                      {residual_.data() + i * static_cast<std::int64_t>(width), width},
                      {normed_.Row(i), width});
    Finish(normed_, i, reader);
  }
}

void ClipPass::Project(Worker& worker, const Tower& tower, Pooled pooled, float* vectors,
                       ClipTrace* trace) {
  const auto width = static_cast<std::size_t>(tower.spec.width);
  const std::int64_t length = tower.projection.out();
  const Worker::Range share = worker.Share(pooled_.rows());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const auto sequence = static_cast<std::size_t>(i);
    const std::int64_t row =
        pooled == Pooled::kFirst ? begins_[sequence] : begins_[sequence + 1] - 1;
    models::Normalize(tower.final_norm, tower.spec.norm_epsilon,
                      {residual_.data() + row * tower.spec.width, width}, {pooled_.Row(i), width});
    Finish(pooled_, i, tower.projection);
  }
  worker.Barrier();
  tower.projection.Multiply(worker, pooled_, Store::kAssign, vectors, length);
  worker.Barrier();
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const double before =
        ScaleToUnitLength({vectors + i * length, static_cast<std::size_t>(length)});
    if (trace != nullptr) trace->lengths[static_cast<std::size_t>(i)] = static_cast<float>(before);
  }
}

}  // namespace ondine::models
