#include "models/decoder_pass.h"

#include <algorithm>
#include <cassert>

#include "compute/elementwise.h"

namespace ondine::models {

using compute::Activations;
using compute::Store;
using compute::Worker;

namespace {

void Add(const std::vector<float>& bias, float* row) {
  for (std::size_t c = 0; c < bias.size(); ++c) row[c] += bias[c];
}

}  // namespace

DecoderPass::DecoderPass(std::shared_ptr<const Decoder> decoder, compute::ThreadPool& pool,
                         std::shared_ptr<const Lora> lora)
    : decoder_(std::move(decoder)),
      lora_(std::move(lora)),
      pool_(pool),
      head_surprise_(decoder_->head(), pool) {}

void DecoderPass::Run(std::span<const std::int32_t> tokens, KvCache& cache,
                      PassObserver* observer) {
  const DecoderSpec& spec = decoder_->spec();
  n_ = static_cast<std::int64_t>(tokens.size());
  assert(n_ >= 1 && n_ <= kMaxTokens);
  const std::int64_t projected =
      std::max(spec.query_width() + 2 * spec.kv_width(), spec.post_norms ? spec.width : 0);
  residual_.resize(static_cast<std::size_t>(n_ * spec.width));
  projection_.resize(static_cast<std::size_t>(n_ * projected));
  normed_.Resize(n_, spec.width);
  attended_.Resize(n_, spec.query_width());
  const int padded = spec.padded_head_dim();
  if (padded != spec.head_dim) {
    padded_.assign(static_cast<std::size_t>(n_ * (spec.heads + 2 * spec.kv_heads) * padded), 0.0f);
    padded_attended_.resize(static_cast<std::size_t>(n_ * spec.heads * padded));
  }
  gated_.Resize(n_, spec.hidden);
  final_.Resize(n_, spec.width);
  if (lora_ != nullptr) {
    factors_.resize(static_cast<std::size_t>(n_ * spec.hidden));
    for (Activations& low : low_rank_) low.Resize(n_, lora_->rank);
  }

  PrepareAngles(cache);

  const std::int64_t position = cache.length();
  pool_.Run([&](Worker& worker) {
    Embed(worker, tokens, position);
    worker.Barrier();
    for (int layer = 0; layer < spec.layers; ++layer) RunLayer(worker, layer, cache, observer);
    Normalize(worker, decoder_->final_norm(), decoder_->head(), final_);
  });
  cache.Advance(n_);
}

void DecoderPass::Embed(const Worker& worker, std::span<const std::int32_t> tokens,
                        std::int64_t position) {
  const DecoderSpec& spec = decoder_->spec();
  thread_local std::vector<float> of_position;
  of_position.resize(static_cast<std::size_t>(spec.width));
  const Worker::Range rows = worker.Share(n_);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    float* row = residual_.data() + i * spec.width;
    decoder_->embedding().GetRow(tokens[static_cast<std::size_t>(i)], row);
    if (spec.embedding_scale != 1) {
      for (int c = 0; c < spec.width; ++c) row[c] *= spec.embedding_scale;
    }
    if (spec.learned_positions) {
      decoder_->positions().GetRow(position + i, of_position.data());
      Add(of_position, row);
    }
  }
}

void DecoderPass::RunLayer(Worker& worker, int index, KvCache& cache, PassObserver* observer) {
  const DecoderLayer& layer = decoder_->layers()[static_cast<std::size_t>(index)];
  Attention(worker, index, cache, observer);
  AddToResidual(worker, layer.output, index, &LoraLayer::output, attended_, layer.output_bias,
                layer.post_attention_norm);
  Mlp(worker, index, observer);
  AddToResidual(worker, layer.down, index, &LoraLayer::down, gated_, layer.down_bias,
                layer.post_mlp_norm);
}

void DecoderPass::Attention(Worker& worker, int index, KvCache& cache, PassObserver* observer) {
  const DecoderSpec& spec = decoder_->spec();
  const DecoderLayer& layer = decoder_->layers()[static_cast<std::size_t>(index)];
  const KvCache::Layer& kv = cache.layer(index);
  const std::int64_t stride = spec.query_width() + 2 * spec.kv_width();
  float* q = projection_.data();
  float* k = q + spec.query_width();
  float* v = k + spec.kv_width();

  Normalize(worker, layer.attention_norm, layer.query, normed_);
  worker.Barrier();
  if (observer != nullptr) observer->OnInput(worker, index, CodeSite::kAttention, normed_);
  layer.query.Multiply(worker, normed_, Store::kAssign, q, stride);
  layer.key.Multiply(worker, normed_, Store::kAssign, k, stride);
  layer.value.Multiply(worker, normed_, Store::kAssign, v, stride);
  AddLowRank(worker, index, {{&LoraLayer::query, q}, {&LoraLayer::key, k}, {&LoraLayer::value, v}},
             normed_, stride);
  worker.Barrier();
  FinishProjections(worker, layer, cache, kv);
  worker.Barrier();
  const std::int64_t slot = cache.NextSlot(kv);
  const std::int64_t head = spec.padded_head_dim();
  const bool pads = head != spec.head_dim;
  const float* heads = pads ? padded_.data() : q;
  const std::int64_t heads_stride = (spec.heads + 2 * spec.kv_heads) * head;
  const float* keys = heads + spec.heads * head;
  cache.store(index).Write(worker, slot, n_, keys, keys + spec.kv_heads * head, heads_stride);
  worker.Barrier();

  compute::AttentionInput input;
  input.q = heads;
  input.q_stride = heads_stride;
  input.n = n_;
  input.heads = spec.heads;
  input.scale = spec.attention_scale;
  input.past = slot;
  input.window = kv.local ? spec.window : 0;
  input.rope = cache.RotatesOnRead(kv) ? kv.rope : nullptr;
  if (observer != nullptr) observer->OnAttention(worker, index, kv, input);
  // Where the projections are of 8-bit integers, attention need not be more exact.
  compute::Attend(worker, kv.store, input, attention_scratch_,
                  pads ? padded_attended_.data() : attended_.Row(0), spec.heads * head,
                  layer.query.input_code() != nullptr ? compute::AttentionKernel::kInt8
                                                      : compute::AttentionKernel::kAuto);
  const Worker::Range rows = worker.Share(n_);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    for (int h = 0; pads && h < spec.heads; ++h) {
      std::copy_n(padded_attended_.data() + (i * spec.heads + h) * head, spec.head_dim,
                  attended_.Row(i) + h * spec.head_dim);
    }
    Finish(attended_, i, layer.output);
  }
  worker.Barrier();
  if (observer != nullptr) observer->OnInput(worker, index, CodeSite::kOutput, attended_);
}

void DecoderPass::PrepareAngles(const KvCache& cache) {
  const DecoderSpec& spec = decoder_->spec();
  for (const bool local : {false, true}) {
    const KvCache::Layer* layer = cache.FirstLayer(local);
    if (layer == nullptr) continue;
    const auto dims = static_cast<std::size_t>((local ? spec.local_rope : spec.rope).dims);
    Angles& angles = angles_[local ? 1 : 0];
    angles.cosines.resize(static_cast<std::size_t>(n_) * dims);
    angles.sines.resize(static_cast<std::size_t>(n_) * dims);
    const std::int64_t position = cache.NextPosition(*layer);
    for (std::size_t i = 0; i < static_cast<std::size_t>(n_); ++i) {
      layer->rope->Angles(position + static_cast<std::int64_t>(i), angles.cosines.data() + i * dims,
                          angles.sines.data() + i * dims);
    }
  }
}

void DecoderPass::FinishProjections(const Worker& worker, const DecoderLayer& layer,
                                    const KvCache& cache, const KvCache::Layer& kv) {
  const DecoderSpec& spec = decoder_->spec();
  const auto head_dim = static_cast<std::size_t>(spec.head_dim);
  const int vectors = spec.heads + 2 * spec.kv_heads;
  const int rotated = cache.RotatesOnRead(kv) ? spec.heads : spec.heads + spec.kv_heads;
  const int dims = kv.rope->settings().dims;
  const Angles& angles = angles_[kv.local ? 1 : 0];
  const Worker::Range rows = worker.Share(n_);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    float* row = projection_.data() + i * vectors * spec.head_dim;
    if (spec.qkv_bias) {
      Add(layer.query_bias, row);
      Add(layer.key_bias, row + spec.query_width());
      Add(layer.value_bias, row + spec.query_width() + spec.kv_width());
    }
    if (spec.qk_norm) {
      for (int h = 0; h < spec.heads + spec.kv_heads; ++h) {
        const std::span<float> head(row + h * spec.head_dim, head_dim);
        compute::RmsNorm(head, h < spec.heads ? layer.query_norm : layer.key_norm,
                         spec.norm_epsilon, head);
      }
    }
    kv.rope->RotateHeads(row, rotated, spec.head_dim, angles.cosines.data() + i * dims,
                         angles.sines.data() + i * dims);
    const int padded = spec.padded_head_dim();
    for (int h = 0; padded != spec.head_dim && h < vectors; ++h) {
      std::copy_n(row + h * spec.head_dim, spec.head_dim,
                  padded_.data() + (i * vectors + h) * padded);
    }
  }
}

void DecoderPass::Mlp(Worker& worker, int index, PassObserver* observer) {
  const DecoderLayer& layer = decoder_->layers()[static_cast<std::size_t>(index)];
  Normalize(worker, layer.mlp_norm, layer.up, normed_);
  worker.Barrier();
  if (observer != nullptr) observer->OnInput(worker, index, CodeSite::kMlp, normed_);
  if (decoder_->spec().gated) {
    Gate(worker, index);
  } else {
    Activate(worker, index);
  }
  if (observer != nullptr) observer->OnInput(worker, index, CodeSite::kDown, gated_);
}

void DecoderPass::Activate(Worker& worker, int index) {
  const DecoderLayer& layer = decoder_->layers()[static_cast<std::size_t>(index)];
  const std::int64_t hidden = decoder_->spec().hidden;
  layer.up.Multiply(worker, normed_, Store::kAssign, gated_.Row(0), hidden);
  AddLowRank(worker, index, {{&LoraLayer::up, gated_.Row(0)}}, normed_, hidden);
  worker.Barrier();
  const Worker::Range rows = worker.Share(n_);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    Add(layer.up_bias, gated_.Row(i));
    compute::Gelu({gated_.Row(i), static_cast<std::size_t>(hidden)});
    Finish(gated_, i, layer.down);
  }
  worker.Barrier();
}

void DecoderPass::Gate(Worker& worker, int index) {
  const DecoderSpec& spec = decoder_->spec();
  const DecoderLayer& layer = decoder_->layers()[static_cast<std::size_t>(index)];
  const bool fused =
      lora_ == nullptr || !lora_->layers[static_cast<std::size_t>(index)].ChangesGate();
  const compute::StaticCode* code = lora_ == nullptr ? layer.down.input_code() : nullptr;
  if (fused) {
    compute::Linear::MultiplyGated(worker, layer.gate, layer.up, spec.activation, normed_, gated_,
                                   code);
  } else {
    layer.gate.Multiply(worker, normed_, Store::kAssign, gated_.Row(0), spec.hidden);
    layer.up.Multiply(worker, normed_, Store::kAssign, factors_.data(), spec.hidden);
    AddLowRank(worker, index,
               {{&LoraLayer::gate, gated_.Row(0)}, {&LoraLayer::up, factors_.data()}}, normed_,
               spec.hidden);
  }
  worker.Barrier();
  const Worker::Range rows = worker.Share(code == nullptr ? n_ : 0);  // finished by the product
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    const auto hidden = static_cast<std::size_t>(spec.hidden);
    if (!fused) {
      compute::ApplyGate(spec.activation, {gated_.Row(i), hidden},
                         {factors_.data() + i * spec.hidden, hidden});
    }
    Finish(gated_, i, layer.down);
  }
  if (code == nullptr) worker.Barrier();
}

void DecoderPass::AddLowRank(Worker& worker, int index, std::initializer_list<Addition> additions,
                             const Activations& x, std::int64_t stride) {
  if (lora_ == nullptr) return;
  const LoraLayer& layer = lora_->layers[static_cast<std::size_t>(index)];
  // Ranks are too small to share out the outputs of `down`: each worker takes some rows of some of
  // the matrices.
  const Worker::Range share = worker.Share(static_cast<std::int64_t>(additions.size()) * n_);
  std::int64_t first = 0;
  auto low = low_rank_.begin();
  bool any = false;
  for (const Addition& addition : additions) {
    const auto& factors = layer.*addition.matrix;
    const Worker::Range rows = {std::clamp<std::int64_t>(share.begin - first, 0, n_),
                                std::clamp<std::int64_t>(share.end - first, 0, n_)};
    if (factors && rows.begin < rows.end) {
      factors->down.MultiplyPart({0, lora_->rank}, rows, x, low->Row(rows.begin), lora_->rank);
      for (std::int64_t i = rows.begin; i < rows.end; ++i) low->Finish(i);
    }
    any = any || factors;
    first += n_;
    ++low;
  }
  if (!any) return;
  worker.Barrier();
  low = low_rank_.begin();
  for (const Addition& addition : additions) {
    if (const auto& factors = layer.*addition.matrix) {
      factors->up.Multiply(worker, *low, Store::kAdd, addition.y, stride);
    }
    ++low;
  }
}

void DecoderPass::Normalize(const Worker& worker, const NormWeights& norm,
                            const compute::Linear& reader, Activations& out) {
  const std::size_t width = norm.weight.size();
  const Worker::Range rows = worker.Share(n_);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    models::Normalize(norm, decoder_->spec().norm_epsilon,
                      {residual_.data() + i * static_cast<std::int64_t>(width), width},
                      {out.Row(i), width});
    Finish(out, i, reader);
  }
}

void DecoderPass::Finish(Activations& x, std::int64_t row, const compute::Linear& reader) const {
  const compute::StaticCode* code = reader.input_code();
  if (code != nullptr) x.FinishStatic(row, *code);
  if (code == nullptr || lora_ != nullptr) x.Finish(row);
}

void DecoderPass::AddToResidual(Worker& worker, const compute::Linear& matrix, int index,
                                std::optional<LowRank> LoraLayer::*addition, const Activations& y,
                                const std::vector<float>& bias,
                                const std::vector<float>& post_norm) {
  const std::int64_t width = decoder_->spec().width;
  const bool direct = post_norm.empty();
  float* sum = direct ? residual_.data() : projection_.data();
  matrix.Multiply(worker, y, direct ? Store::kAdd : Store::kAssign, sum, width);
  AddLowRank(worker, index, {{addition, sum}}, y, width);
  worker.Barrier();
  if (direct && bias.empty()) return;
  const Worker::Range rows = worker.Share(n_);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    Add(bias, sum + i * width);
    if (direct) continue;
    const std::span<float> row(projection_.data() + i * width, static_cast<std::size_t>(width));
    compute::RmsNorm(row, post_norm, decoder_->spec().norm_epsilon, row);
    float* residual = residual_.data() + i * width;
    for (std::int64_t c = 0; c < width; ++c) residual[c] += row[static_cast<std::size_t>(c)];
  }
  worker.Barrier();
}

std::span<const float> DecoderPass::Hidden(std::int64_t row) const {
  return {final_.Row(row), static_cast<std::size_t>(final_.width())};
}

void DecoderPass::Logits(std::span<const float> hidden, std::span<float> logits) {
  one_row_.Resize(1, decoder_->spec().width);
  std::copy(hidden.begin(), hidden.end(), one_row_.Row(0));
  one_row_.Finish(0);
  pool_.Run([&](Worker& worker) {
    decoder_->head().Multiply(worker, one_row_, Store::kAssign, logits.data(),
                              decoder_->vocabulary());
  });
}

void DecoderPass::Logits(std::int64_t first, std::int64_t rows, std::span<float> logits) {
  const std::int64_t vocabulary = decoder_->vocabulary();
  pool_.Run([&](Worker& worker) {
    const Worker::Range outputs = worker.Share(vocabulary, compute::Linear::kOutputGrain);
    decoder_->head().MultiplyPart(outputs, {first, first + rows}, final_,
                                  logits.data() + outputs.begin, vocabulary);
  });
}

void DecoderPass::Surprise(std::span<const std::int32_t> targets, int stride,
                           std::span<float> surprise) {
  assert(static_cast<std::int64_t>(targets.size()) <= final_.rows());
  head_surprise_.Compute(final_, targets, stride, surprise);
}

float DecoderPass::Surprise(std::span<const float> hidden, std::int32_t target, int stride) {
  one_row_.Resize(1, decoder_->spec().width);
  std::copy(hidden.begin(), hidden.end(), one_row_.Row(0));
  one_row_.Finish(0);
  float surprise = 0;
  head_surprise_.Compute(one_row_, {&target, 1}, stride, {&surprise, 1});
  return surprise;
}

}  // namespace ondine::models
