// Importance of cached entries as the attention that chosen query rows pay to them.
#ifndef ONDINE_SRC_MEMORY_ATTENTION_SCORES_H_
#define ONDINE_SRC_MEMORY_ATTENTION_SCORES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "compute/attention.h"
#include "models/decoder_pass.h"
#include "ondine/pot.h"

namespace ondine::memory {

// Watches passes and accumulates, per layer and query head, the attention of the watched rows to
// the first `entries` entries.
class AttentionScores : public models::PassObserver {
 public:
  AttentionScores(const models::DecoderSpec& spec, std::int64_t capacity);

  // Starts anew: the next passes' last `rows` rows are watched (all of them where a pass has
  // fewer), their weights to slots < entries are reduced by `over_rows`. With past_only the softmax
  // runs over these slots alone.
  void Start(std::int64_t entries, std::int64_t rows, Reduce over_rows, bool past_only);

  void OnAttention(compute::Worker& worker, int layer, const models::KvCache::Layer& cache,
                   const compute::AttentionInput& input) override;

  // Scores [entries] of a KV head: its query heads combined by kMax or kMean.
  void ForHead(int layer, int kv_head, Reduce over_group, std::span<float> out) const;
  // Mean over all heads of a layer.
  void ForLayer(int layer, std::span<float> out) const;

  std::size_t bytes() const;

 private:
  std::span<const float> Row(int layer, int head) const;

  models::DecoderSpec spec_;
  std::int64_t capacity_;
  std::int64_t entries_ = 0, rows_ = 0;
  Reduce over_rows_ = Reduce::kSum;
  bool past_only_ = false;
  std::vector<float> scores_;   // [layers][heads][capacity]
  std::vector<float> weights_;  // [heads][rows][keys] of the layer at hand
  compute::AttentionScratch scratch_;
};

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_ATTENTION_SCORES_H_
