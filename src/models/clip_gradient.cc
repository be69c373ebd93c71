#include "models/clip_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <numbers>
#include <utility>

#include "base/try.h"

namespace ondine::models {

using compute::Activations;
using compute::Store;
using compute::Worker;

namespace {

// Texts whose traces are in memory at once.
constexpr std::size_t kTextsTogether = 64;

// Of matrices that read the same inputs, one behind the other: x -> sum of their transposed
// products.
Result<compute::Linear> Transposed(std::span<const compute::Linear* const> matrices,
                                   compute::ThreadPool& pool) {
  const std::int64_t outputs = matrices.front()->in();
  std::int64_t inputs = 0;
  for (const compute::Linear* matrix : matrices) inputs += matrix->out();
  std::vector<float> row(static_cast<std::size_t>(outputs));
  std::vector<float> values(static_cast<std::size_t>(inputs * outputs));
  std::int64_t column = 0;
  for (const compute::Linear* matrix : matrices) {
    for (std::int64_t i = 0; i < matrix->out(); ++i, ++column) {
      matrix->GetRow(i, row.data());
      for (std::int64_t j = 0; j < outputs; ++j) {
        values[static_cast<std::size_t>(j * inputs + column)] = row[static_cast<std::size_t>(j)];
      }
    }
  }
  return compute::Linear::Create(formats::TensorType::kF32, inputs, outputs,
                                 std::as_bytes(std::span<const float>(values)), pool);
}

double Slope(ClipActivation activation, double x) {
  if (activation == ClipActivation::kQuickGelu) {
    const double sigmoid = 1 / (1 + std::exp(-1.702 * x));
    return sigmoid + 1.702 * x * sigmoid * (1 - sigmoid);
  }
  const double density = std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) + x * density;
}

// `gradient` is that of what the norm made of x; what is added to `out` that of x.
void AddNormGradient(const NormWeights& norm, float epsilon, std::span<const float> x,
                     const float* gradient, float* out) {
  const auto width = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const float value : x) mean += value / width;
  for (const float value : x) variance += (value - mean) * (value - mean) / width;
  const double scale = 1 / std::sqrt(variance + epsilon);
  double sum = 0, product = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double weighted = double{gradient[i]} * norm.weight[i];
    sum += weighted;
    product += weighted * (x[i] - mean) * scale;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double weighted = double{gradient[i]} * norm.weight[i];
    out[i] += static_cast<float>(
        scale * (weighted - sum / width - (x[i] - mean) * scale * product / width));
  }
}

float Dot(const float* a, const float* b, std::int64_t count) {
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void AddScaled(float scale, const float* x, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] += scale * x[i];
}

// Causal attention of one head in one text, and its gradients.
struct Head {
  std::int64_t length, head_dim, stride;
  float scale;
  const float *q, *k, *v;     // [length][head_dim], rows `stride` apart
  const float* bias;          // [length]
  std::int64_t first_biased;  // the first row that the bias acts on
  const float* out_gradient;
  std::int64_t out_stride;
  float *q_gradient, *k_gradient, *v_gradient;  // `stride` apart; to be 0 before
  float* bias_gradient;                         // [length], added to
};

void AttendBackwards(const Head& head) {
  std::vector<float> weights(static_cast<std::size_t>(head.length));
  std::vector<float> effects(weights.size());  // of each key's weight on the result
  for (std::int64_t i = 0; i < head.length; ++i) {
    const float* q = head.q + i * head.stride;
    const float* gradient = head.out_gradient + i * head.out_stride;
    const bool biased = i >= head.first_biased;
    float largest = -std::numeric_limits<float>::infinity(), sum = 0;
    for (std::int64_t j = 0; j <= i; ++j) {
      float& score = weights[static_cast<std::size_t>(j)];
      score = head.scale * Dot(q, head.k + j * head.stride, head.head_dim);
      if (biased) score += head.bias[j];
      largest = std::max(largest, score);
    }
    for (std::int64_t j = 0; j <= i; ++j) {
      float& weight = weights[static_cast<std::size_t>(j)];
      weight = std::exp(weight - largest);
      sum += weight;
    }
    float average = 0;
    for (std::int64_t j = 0; j <= i; ++j) {
      const auto key = static_cast<std::size_t>(j);
      weights[key] /= sum;
      effects[key] = Dot(gradient, head.v + j * head.stride, head.head_dim);
      average += weights[key] * effects[key];
    }
    for (std::int64_t j = 0; j <= i; ++j) {
      const float weight = weights[static_cast<std::size_t>(j)];
      const float* k = head.k + j * head.stride;
      const float score_gradient = weight * (effects[static_cast<std::size_t>(j)] - average);
      if (biased) head.bias_gradient[j] += score_gradient;
      AddScaled(head.scale * score_gradient, k, head.head_dim, head.q_gradient + i * head.stride);
      AddScaled(head.scale * score_gradient, q, head.head_dim, head.k_gradient + j * head.stride);
      AddScaled(weight, gradient, head.head_dim, head.v_gradient + j * head.stride);
    }
  }
}

}  // namespace

Result<std::unique_ptr<ClipGradient>> ClipGradient::Create(std::shared_ptr<const Clip> clip,
                                                           compute::ThreadPool& pool) {
  std::unique_ptr<ClipGradient> gradient(new ClipGradient(std::move(clip), pool));
  const Tower& tower = gradient->clip_->text();
  const auto transposed = [&](std::initializer_list<const compute::Linear*> matrices) {
    return Transposed({matrices.begin(), matrices.size()}, pool);
  };
  ONDINE_ASSIGN(gradient->projection_, transposed({&tower.projection}));
  for (const TowerLayer& from : tower.layers) {
    Layer layer;
    ONDINE_ASSIGN(layer.qkv, transposed({&from.query, &from.key, &from.value}));
    ONDINE_ASSIGN(layer.output, transposed({&from.output}));
    ONDINE_ASSIGN(layer.up, transposed({&from.up}));
    ONDINE_ASSIGN(layer.down, transposed({&from.down}));
    gradient->layers_.push_back(std::move(layer));
  }
  return gradient;
}

void ClipGradient::LogWeights(std::span<const ClipText> texts, const WeightPlace& place,
                              const float* upstream, std::span<float> gradients) {
  const auto length = static_cast<std::size_t>(clip_->spec().projection);
  const auto heads = static_cast<std::size_t>(clip_->text().spec.heads);
  auto out = gradients.begin();
  while (!texts.empty()) {
    const auto together = texts.first(std::min(kTextsTogether, texts.size()));
    vectors_.resize(together.size() * length);
    pass_.EncodeTexts(together, place, vectors_.data(), &trace_);
    Prepare();
    pool_.Run([&](Worker& worker) {
      Vectors(worker, upstream);
      for (std::size_t block = layers_.size(); block-- > 0;) {
        // What is before the first block with weights does not depend on them.
        if (static_cast<int>(block) < place.first_block) break;
        Mlp(worker, block);
        Attention(worker, block, place);
      }
    });
    const auto rows = static_cast<std::size_t>(trace_.begins.back());
    for (std::size_t row = 0; row < rows; ++row) {
      float sum = 0;
      for (std::size_t head = 0; head < heads; ++head) sum += weights_[head * rows + row];
      *out++ = sum;
    }
    upstream += together.size() * length;
    texts = texts.subspan(together.size());
  }
}

void ClipGradient::Prepare() {
  const TowerSpec& spec = clip_->text().spec;
  const std::int64_t rows = trace_.begins.back();
  residual_.Resize(rows, spec.width);
  hidden_.Resize(rows, spec.hidden);
  qkv_.Resize(rows, 3 * std::int64_t{spec.width});
  raw_.Resize(static_cast<std::int64_t>(trace_.lengths.size()), clip_->spec().projection);
  normed_.resize(static_cast<std::size_t>(rows * spec.width));
  attended_.resize(normed_.size());
  weights_.assign(static_cast<std::size_t>(spec.heads * rows), 0.0f);
}

void ClipGradient::Finish(const Worker& worker, Activations& x) const {
  const Worker::Range share = worker.Share(x.rows());
  for (std::int64_t i = share.begin; i < share.end; ++i) x.Finish(i);
}

void ClipGradient::Vectors(Worker& worker, const float* upstream) {
  const Tower& tower = clip_->text();
  const std::int64_t length = raw_.width(), width = tower.spec.width;
  const Worker::Range share = worker.Share(raw_.rows());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const float* vector = vectors_.data() + i * length;
    const float* gradient = upstream + i * length;
    const float along = Dot(gradient, vector, length);
    const float before = trace_.lengths[static_cast<std::size_t>(i)];
    float* raw = raw_.Row(i);
    for (std::int64_t c = 0; c < length; ++c) {
      raw[c] = before > 0 ? (gradient[c] - along * vector[c]) / before : 0.0f;
    }
    raw_.Finish(i);
  }
  worker.Barrier();
  projection_.Multiply(worker, raw_, Store::kAssign, normed_.data(), width);
  worker.Barrier();
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const auto text = static_cast<std::size_t>(i);
    const std::int64_t last = trace_.begins[text + 1] - 1;
    std::fill(residual_.Row(trace_.begins[text]), residual_.Row(last) + width, 0.0f);
    AddNormGradient(tower.final_norm, tower.spec.norm_epsilon,
                    {trace_.output.data() + last * width, static_cast<std::size_t>(width)},
                    normed_.data() + i * width, residual_.Row(last));
  }
  worker.Barrier();
}

void ClipGradient::Norm(const Worker& worker, const NormWeights& norm,
                        const std::vector<float>& input) {
  const std::int64_t width = residual_.width();
  const Worker::Range share = worker.Share(residual_.rows());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    AddNormGradient(norm, clip_->text().spec.norm_epsilon,
                    {input.data() + i * width, static_cast<std::size_t>(width)},
                    normed_.data() + i * width, residual_.Row(i));
  }
}

void ClipGradient::Mlp(Worker& worker, std::size_t block) {
  const std::vector<float>& up = trace_.blocks[block].up;
  const std::int64_t hidden = hidden_.width();
  Finish(worker, residual_);
  worker.Barrier();
  layers_[block].down.Multiply(worker, residual_, Store::kAssign, hidden_.Row(0), hidden);
  worker.Barrier();
  const Worker::Range share = worker.Share(hidden_.rows());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    float* row = hidden_.Row(i);
    for (std::int64_t c = 0; c < hidden; ++c) {
      row[c] *= static_cast<float>(
          Slope(clip_->spec().activation, up[static_cast<std::size_t>(i * hidden + c)]));
    }
    hidden_.Finish(i);
  }
  worker.Barrier();
  layers_[block].up.Multiply(worker, hidden_, Store::kAssign, normed_.data(), residual_.width());
  worker.Barrier();
  Norm(worker, clip_->text().layers[block].mlp_norm, trace_.blocks[block].middle);
}

void ClipGradient::Attention(Worker& worker, std::size_t block, const WeightPlace& place) {
  Finish(worker, residual_);
  worker.Barrier();
  layers_[block].output.Multiply(worker, residual_, Store::kAssign, attended_.data(),
                                 residual_.width());
  worker.Barrier();
  Heads(worker, block, place);
  worker.Barrier();
  Finish(worker, qkv_);
  worker.Barrier();
  layers_[block].qkv.Multiply(worker, qkv_, Store::kAssign, normed_.data(), residual_.width());
  worker.Barrier();
  Norm(worker, clip_->text().layers[block].attention_norm, trace_.blocks[block].input);
}

void ClipGradient::Heads(const Worker& worker, std::size_t block, const WeightPlace& place) {
  const TowerSpec& spec = clip_->text().spec;
  const std::int64_t rows = residual_.rows(), width = spec.width, dim = spec.head_dim();
  const auto texts = static_cast<std::int64_t>(trace_.lengths.size());
  const Worker::Range share = worker.Share(texts * spec.heads);
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const std::int64_t head = i % spec.heads;
    const std::int64_t first = trace_.begins[static_cast<std::size_t>(i / spec.heads)];
    const std::int64_t end = trace_.begins[static_cast<std::size_t>(i / spec.heads) + 1];
    const float* q = trace_.blocks[block].qkv.data() + first * 3 * width + head * dim;
    float* gradient = qkv_.Row(first) + head * dim;
    for (std::int64_t row = 0; row < end - first; ++row) {
      for (std::int64_t part = 0; part < 3; ++part) {
        std::fill_n(gradient + (row * 3 + part) * width, dim, 0.0f);
      }
    }
    AttendBackwards({.length = end - first,
                     .head_dim = dim,
                     .stride = 3 * width,
                     .scale = 1 / std::sqrt(static_cast<float>(dim)),
                     .q = q,
                     .k = q + width,
                     .v = q + 2 * width,
                     .bias = trace_.bias.data() + first,
                     .first_biased = place.for_last_row_only ? end - first - 1 : 0,
                     .out_gradient = attended_.data() + first * width + head * dim,
                     .out_stride = width,
                     .q_gradient = gradient,
                     .k_gradient = gradient + width,
                     .v_gradient = gradient + 2 * width,
                     .bias_gradient = weights_.data() + head * rows + first});
  }
}

}  // namespace ondine::models
