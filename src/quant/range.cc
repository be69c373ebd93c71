#include "quant/range.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace ondine::quant {

compute::StaticCode CodeOf(Range range, int bits) {
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  compute::StaticCode code;
  code.largest = (1 << bits) - 1;
  code.scale = (high - low) / static_cast<float>(code.largest);
  // Also where the reciprocal would not be finite.
  if (!(code.scale > 1e-30f)) code.scale = 1;
  code.zero =
      std::clamp(static_cast<std::int32_t>(std::nearbyint(-low / code.scale)), 0, code.largest);
  return code;
}

Range EndsOnCodes(Range range, int bits) {
  // Of the scale: products with its reciprocal are rounded.
  constexpr double kMargin = 1e-6;
  const double low = std::max(-range.low, 0.0f), high = std::max(range.high, 0.0f);
  if (low + high == 0) return range;
  const int largest = (1 << bits) - 1;
  // A side that has values has a code at least.
  const int least = low > 0 ? 1 : 0, most = high > 0 ? largest - 1 : largest;
  const double exact = largest * low / (low + high);  // where 0 lies
  double scale = std::numeric_limits<double>::infinity();
  int zero = 0;
  for (const double place : {std::floor(exact), std::ceil(exact)}) {
    const int here = std::clamp(static_cast<int>(place), least, most);
    const double needed =
        std::max(low > 0 ? low / here : 0, high > 0 ? high / (largest - here) : 0);
    if (needed < scale) {
      scale = needed;
      zero = here;
    }
  }
  scale *= 1 + kMargin;
  return {static_cast<float>(-zero * scale), static_cast<float>((largest - zero) * scale)};
}

void Histogram::Add(const float* values, std::int64_t count) {
  if (bins_.empty()) bins_.assign(2 * kHalf + 1, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    low_ = std::min(low_, values[i]);
    high_ = std::max(high_, values[i]);
    ++bins_[BinOf(values[i])];
  }
  count_ += count;
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  if (bins_.empty()) bins_.assign(2 * kHalf + 1, 0);
  low_ = std::min(low_, other.low_);
  high_ = std::max(high_, other.high_);
  for (std::size_t i = 0; i < bins_.size(); ++i) bins_[i] += other.bins_[i];
  count_ += other.count_;
}

std::size_t Histogram::BinOf(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(std::fabs(value)) >> kBitsDropped;
  if (bits < kFirst) return kHalf;
  const std::size_t bin = std::min<std::size_t>(bits - kFirst, kHalf - 1);
  return value < 0 ? kHalf - 1 - bin : kHalf + 1 + bin;
}

double Histogram::Edge(std::size_t magnitude_bin) {
  return static_cast<double>(
      std::bit_cast<float>((static_cast<std::uint32_t>(magnitude_bin) + kFirst) << kBitsDropped));
}

double Histogram::LowOf(std::size_t bin) {
  if (bin == kHalf) return 0;
  return bin < kHalf ? -Edge(kHalf - bin) : Edge(bin - kHalf - 1);
}

double Histogram::HighOf(std::size_t bin) {
  if (bin == kHalf) return 0;
  return bin < kHalf ? -Edge(kHalf - bin - 1) : Edge(bin - kHalf);
}

double Histogram::Error(const compute::StaticCode& code) const {
  const double scale = code.scale;
  const double lowest = -code.zero, highest = code.largest - code.zero;
  double total = 0;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    if (bins_[i] == 0) continue;
    const double middle = (LowOf(i) + HighOf(i)) / 2, steps = middle / scale;
    double error = 0;
    if (steps < lowest || steps > highest) {
      if (!code.keeps_outliers) error = middle - scale * std::clamp(steps, lowest, highest);
    } else if (HighOf(i) - LowOf(i) > scale) {
      error = scale / std::sqrt(12.0);  // evenly spread
    } else {
      error = middle - scale * std::nearbyint(steps);
    }
    total += static_cast<double>(bins_[i]) * error * error;
  }
  return count_ == 0 ? 0 : total / static_cast<double>(count_);
}

double Histogram::MeanSquare() const {
  double total = 0;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    const double middle = (LowOf(i) + HighOf(i)) / 2;
    total += static_cast<double>(bins_[i]) * middle * middle;
  }
  return count_ == 0 ? 0 : total / static_cast<double>(count_);
}

Range Histogram::WithoutOutliers(double share) const {
  const auto allowed = static_cast<std::int64_t>(share * static_cast<double>(count_));
  Range best = range();
  // [first, end): the fewest bins from `first` on that leave out no more than allowed.
  std::int64_t left_out = count_;
  std::size_t end = 0;
  for (std::size_t first = 0; first < bins_.size(); ++first) {
    while (end < bins_.size() && left_out > allowed) left_out -= bins_[end++];
    if (left_out > allowed) break;
    const Range held = {std::clamp(static_cast<float>(LowOf(first)), low_, 0.0f),
                        std::clamp(static_cast<float>(HighOf(end - 1)), 0.0f, high_)};
    if (held.high - held.low < best.high - best.low) best = held;
    left_out += bins_[first];
  }
  return best;
}

double Histogram::ShareOutside(Range range) const {
  std::int64_t outside = 0;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    const double low = std::max<double>(LowOf(i), low_), high = std::min<double>(HighOf(i), high_);
    if (low < range.low || high > range.high) outside += bins_[i];
  }
  return count_ == 0 ? 0 : static_cast<double>(outside) / static_cast<double>(count_);
}

Range LeastSquares(const Histogram& values, int bits) {
  // Ends move inwards by factors, first together, then each by itself: values are few far out.
  constexpr double kFactor = 0.95;
  constexpr int kSteps = 80;
  const Range whole = values.range();
  Range best = whole;
  double least = values.Error(CodeOf(best, bits));
  const auto attempt = [&](Range range) {
    const double error = values.Error(CodeOf(range, bits));
    if (error < least) {
      least = error;
      best = range;
    }
  };
  const auto shrunk = [&](float end, int step) {
    return static_cast<float>(end * std::pow(kFactor, step));
  };
  for (int i = 1; i < kSteps; ++i) attempt({shrunk(whole.low, i), shrunk(whole.high, i)});
  for (int i = 0; i < kSteps; ++i) attempt({shrunk(whole.low, i), best.high});
  for (int i = 0; i < kSteps; ++i) attempt({best.low, shrunk(whole.high, i)});
  return best;
}

}  // namespace ondine::quant
