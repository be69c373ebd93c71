#include "quant/range.h"

#include <algorithm>
#include <cmath>

namespace ondine::quant {
namespace {

constexpr std::size_t kHalf = Histogram::kBins / 2;

}  // namespace

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

void Histogram::Add(const float* values, std::int64_t count) {
  const auto [low, high] = std::minmax_element(values, values + count);
  low_ = std::min(low_, *low);
  high_ = std::max(high_, *high);
  Widen(std::max(-low_, high_));
  for (std::int64_t i = 0; i < count; ++i) ++bins_[BinOf(values[i])];
  count_ += count;
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  low_ = std::min(low_, other.low_);
  high_ = std::max(high_, other.high_);
  Widen(static_cast<float>(kHalf) * other.width_);
  for (std::size_t i = 0; i < kBins; ++i) {
    const float middle = other.width_ * (static_cast<float>(i) + 0.5f - static_cast<float>(kHalf));
    bins_[BinOf(middle)] += other.bins_[i];
  }
  count_ += other.count_;
}

void Histogram::Widen(float magnitude) {
  if (bins_.empty()) bins_.assign(kBins, 0);
  constexpr float kSmallest = 1e-30f;
  if (width_ == 0) {
    // A power of two, so that bins of any two histograms nest.
    width_ = std::exp2(std::ceil(std::log2(std::max(magnitude, kSmallest) / kHalf)));
  }
  while (magnitude > width_ * static_cast<float>(kHalf)) {
    std::vector<std::int64_t> wider(kBins, 0);
    for (std::size_t i = 0; i < kBins; ++i) wider[kHalf / 2 + i / 2] += bins_[i];
    bins_ = std::move(wider);
    width_ *= 2;
  }
}

std::size_t Histogram::BinOf(float value) const {
  const float bin = std::floor(value / width_) + static_cast<float>(kHalf);
  return static_cast<std::size_t>(std::clamp(bin, 0.0f, static_cast<float>(kBins - 1)));
}

template <typename Term>
double Histogram::Mean(Term term) const {
  double total = 0;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    if (bins_[i] == 0) continue;
    const double value =
        static_cast<double>(width_) * (static_cast<double>(i) + 0.5 - static_cast<double>(kHalf));
    total += static_cast<double>(bins_[i]) * term(value);
  }
  return count_ == 0 ? 0 : total / static_cast<double>(count_);
}

double Histogram::Error(const compute::StaticCode& code) const {
  const double scale = code.scale;
  return Mean([&](double value) {
    const double q =
        std::clamp<double>(std::nearbyint(value / scale), -code.zero, code.largest - code.zero);
    return (value - scale * q) * (value - scale * q);
  });
}

double Histogram::MeanSquare() const {
  return Mean([](double value) { return value * value; });
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
