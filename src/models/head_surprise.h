// Surprise of tokens, -log p(token | text before), at every position of a pass: the costly part of
// InfiniPot's novelty score (NuC), since it needs the head's product with every row.
#ifndef ONDINE_SRC_MODELS_HEAD_SURPRISE_H_
#define ONDINE_SRC_MODELS_HEAD_SURPRISE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/linear.h"
#include "compute/thread_pool.h"

namespace ondine::models {

class HeadSurprise {
 public:
  // Tokens of the vocabulary that are looked at together.
  static constexpr std::int64_t kSlice = 512;
  // The first ones, which are the frequent ones, are always looked at.
  static constexpr std::int64_t kFrequent = 4096;

  HeadSurprise(const compute::Linear& head, compute::ThreadPool& pool) : head_(head), pool_(pool) {}

  // surprise[i] = -log p(targets[i] | row i of x) in nats, for the first targets.size() rows.
  // Logits are computed in slices of the vocabulary, never more than a few hundred KB at a time.
  // With `stride` 1 exactly; else the normaliser is estimated: of the slices behind the frequent
  // tokens one in `stride` stands for all of them, and the target counts by itself.
  void Compute(const compute::Activations& x, std::span<const std::int32_t> targets, int stride,
               std::span<float> surprise);

 private:
  struct Slice {
    std::int64_t begin, end;
    bool sampled;  // stands for others too
  };
  std::vector<Slice> Slices(int stride) const;
  // Log of the sum of exponentials of each scored row's logits in the slice.
  void SumSlice(const Slice& slice, const compute::Activations& x,
                std::span<const std::int32_t> targets, float* logits, float* sums);
  float TargetLogit(const compute::Activations& x, std::int64_t row, std::int32_t target,
                    float* logits) const;

  const compute::Linear& head_;
  compute::ThreadPool& pool_;
  std::vector<float> logits_;         // [threads][kRows][kSlice]
  std::vector<float> sums_;           // [slices][rows]
  std::vector<float> target_logits_;  // [rows]
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_HEAD_SURPRISE_H_
