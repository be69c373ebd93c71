#include "memory/attention_scores.h"

#include <algorithm>

namespace ondine::memory {

AttentionScores::AttentionScores(const models::DecoderSpec& spec, std::int64_t capacity)
    : spec_(spec), capacity_(capacity) {}

void AttentionScores::Start(std::int64_t entries, std::int64_t rows, Reduce over_rows,
                            bool past_only) {
  entries_ = entries;
  rows_ = rows;
  over_rows_ = over_rows;
  past_only_ = past_only;
  scores_.assign(static_cast<std::size_t>(spec_.layers * spec_.heads * capacity_), 0.0f);
}

void AttentionScores::OnAttention(compute::Worker& worker, int layer,
                                  const models::KvCache::Layer& cache,
                                  const compute::AttentionInput& input) {
  if (cache.local) return;
  const std::int64_t rows = std::min(rows_, input.n);
  compute::AttentionInput watched = input;
  watched.q = input.q + (input.n - rows) * input.q_stride;
  watched.past = input.past + (input.n - rows);
  watched.n = rows;
  const std::int64_t keys = past_only_ ? entries_ : watched.past + rows;
  if (worker.index() == 0) {
    weights_.resize(static_cast<std::size_t>(spec_.heads * rows * keys));
  }
  worker.Barrier();
  compute::AttentionWeights(worker, cache.store, watched, keys, scratch_, weights_.data());
  const compute::Worker::Range heads = worker.Share(spec_.heads);
  for (std::int64_t h = heads.begin; h < heads.end; ++h) {
    float* out = scores_.data() + (layer * spec_.heads + h) * capacity_;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* weight = weights_.data() + (h * rows + r) * keys;
      if (over_rows_ == Reduce::kMax) {
        for (std::int64_t j = 0; j < entries_; ++j) out[j] = std::max(out[j], weight[j]);
      } else {
        for (std::int64_t j = 0; j < entries_; ++j) out[j] += weight[j];
      }
    }
  }
  worker.Barrier();
}

std::span<const float> AttentionScores::Row(int layer, int head) const {
  return {scores_.data() + (layer * spec_.heads + head) * capacity_,
          static_cast<std::size_t>(entries_)};
}

void AttentionScores::ForHead(int layer, int kv_head, Reduce over_group,
                              std::span<float> out) const {
  const int group = spec_.heads / spec_.kv_heads;
  std::fill(out.begin(), out.end(), 0.0f);
  for (int g = 0; g < group; ++g) {
    const std::span<const float> row = Row(layer, kv_head * group + g);
    for (std::size_t j = 0; j < out.size(); ++j) {
      out[j] = over_group == Reduce::kMax ? std::max(out[j], row[j])
                                          : out[j] + row[j] / static_cast<float>(group);
    }
  }
}

void AttentionScores::ForLayer(int layer, std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  for (int h = 0; h < spec_.heads; ++h) {
    const std::span<const float> row = Row(layer, h);
    for (std::size_t j = 0; j < out.size(); ++j) {
      out[j] += row[j] / static_cast<float>(spec_.heads);
    }
  }
}

std::size_t AttentionScores::bytes() const {
  return (scores_.capacity() + weights_.capacity()) * sizeof(float) + scratch_.bytes();
}

}  // namespace ondine::memory
