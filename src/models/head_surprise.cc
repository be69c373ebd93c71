#include "models/head_surprise.h"

#include <algorithm>
#include <cmath>

#include "compute/elementwise.h"

namespace ondine::models {
namespace {

using compute::Activations;
using compute::Linear;
using compute::Worker;

// So many rows of a slice stay in the second-level cache between product and exponentials.
constexpr std::int64_t kRows = 128;
// Of a logit whose exponential must not count.
constexpr float kNothing = -1e30f;

enum class Look { kWhole, kSample, kNone };

// At the slice that a token lies in.
Look LookAt(std::int64_t token, int stride) {
  if (stride == 1 || token < HeadSurprise::kFrequent) return Look::kWhole;
  const std::int64_t slice = (token - HeadSurprise::kFrequent) / HeadSurprise::kSlice;
  return slice % stride == 0 ? Look::kSample : Look::kNone;
}

}  // namespace

std::vector<HeadSurprise::Slice> HeadSurprise::Slices(int stride) const {
  const std::int64_t vocabulary = head_.out();
  std::vector<Slice> slices;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kSlice) {
    const Look look = LookAt(begin, stride);
    if (look == Look::kNone) continue;
    slices.push_back({begin, std::min(begin + kSlice, vocabulary), look == Look::kSample});
  }
  return slices;
}

void HeadSurprise::SumSlice(const Slice& slice, const Activations& x,
                            std::span<const std::int32_t> targets, float* logits, float* sums) {
  const auto scored = static_cast<std::int64_t>(targets.size());
  for (std::int64_t first = 0; first < scored; first += kRows) {
    const Worker::Range rows = {first, std::min(first + kRows, scored)};
    head_.MultiplyPart({slice.begin, slice.end}, rows, x, logits, kSlice);
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      const std::span<float> row(logits + (i - first) * kSlice,
                                 static_cast<std::size_t>(slice.end - slice.begin));
      const std::int64_t target = targets[static_cast<std::size_t>(i)];
      if (target >= slice.begin && target < slice.end) {
        float& logit = row[static_cast<std::size_t>(target - slice.begin)];
        target_logits_[static_cast<std::size_t>(i)] = logit;
        if (slice.sampled) logit = kNothing;  // it stands for itself alone
      }
      sums[i] = compute::LogSumExp(row);
    }
  }
}

float HeadSurprise::TargetLogit(const Activations& x, std::int64_t row, std::int32_t target,
                                float* logits) const {
  const std::int64_t begin = target / Linear::kOutputGrain * Linear::kOutputGrain;
  head_.MultiplyPart({begin, std::min(begin + Linear::kOutputGrain, head_.out())}, {row, row + 1},
                     x, logits, Linear::kOutputGrain);
  return logits[target - begin];
}

void HeadSurprise::Compute(const Activations& x, std::span<const std::int32_t> targets, int stride,
                           std::span<float> surprise) {
  const std::vector<Slice> slices = Slices(stride);
  const auto scored = static_cast<std::int64_t>(targets.size());
  std::int64_t sampled = 0;
  for (const Slice& slice : slices) sampled += slice.sampled ? slice.end - slice.begin : 0;
  const auto rest = static_cast<float>(std::max<std::int64_t>(0, head_.out() - kFrequent));
  const float weight = sampled > 0 ? std::log(rest / static_cast<float>(sampled)) : 0.0f;

  logits_.resize(static_cast<std::size_t>(pool_.threads() * kRows * kSlice));
  sums_.resize(slices.size() * targets.size());
  target_logits_.resize(targets.size());
  pool_.Run([&](Worker& worker) {
    float* logits = logits_.data() + worker.index() * kRows * kSlice;
    const Worker::Range share = worker.Share(static_cast<std::int64_t>(slices.size()));
    for (std::int64_t s = share.begin; s < share.end; ++s) {
      SumSlice(slices[static_cast<std::size_t>(s)], x, targets, logits, sums_.data() + s * scored);
    }
    worker.Barrier();
    const Worker::Range mine = worker.Share(scored);
    std::vector<float> sums;
    for (std::int64_t i = mine.begin; i < mine.end; ++i) {
      const std::int32_t target = targets[static_cast<std::size_t>(i)];
      const Look look = LookAt(target, stride);
      float& logit = target_logits_[static_cast<std::size_t>(i)];
      if (look == Look::kNone) logit = TargetLogit(x, i, target, logits);
      sums.clear();
      for (std::size_t s = 0; s < slices.size(); ++s) {
        sums.push_back(sums_[s * targets.size() + static_cast<std::size_t>(i)] +
                       (slices[s].sampled ? weight : 0.0f));
      }
      if (look != Look::kWhole) sums.push_back(logit);
      surprise[static_cast<std::size_t>(i)] = compute::LogSumExp(sums) - logit;
    }
  });
}

}  // namespace ondine::models
