// The learning rate over a training.
#ifndef ONDINE_TRAIN_SCHEDULE_H_
#define ONDINE_TRAIN_SCHEDULE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace ondine::train {

// Of the step after `step` others: it grows evenly to `rate` over a share of the steps and then
// follows half a cosine down to zero.
inline double WarmedUpRate(double rate, std::int64_t step, std::int64_t steps,
                           double warmup_share) {
  const double warmup = std::max(1.0, std::round(warmup_share * static_cast<double>(steps)));
  const auto done = static_cast<double>(step);
  if (done < warmup) return rate * (done + 1) / warmup;
  const double share = (done - warmup) / std::max(1.0, static_cast<double>(steps) - warmup);
  return rate * 0.5 * (1 + std::cos(std::numbers::pi * share));
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_SCHEDULE_H_
