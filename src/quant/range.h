// Ranges of activations, and the static codes that cover them.
#ifndef ONDINE_SRC_QUANT_RANGE_H_
#define ONDINE_SRC_QUANT_RANGE_H_

#include <cstdint>
#include <vector>

#include "compute/static_code.h"

namespace ondine::quant {

struct Range {
  float low = 0, high = 0;  // low <= 0 <= high: zero has a code of its own
};

// The code of 2^bits values that covers the range: scale = (high - low) / (2^bits - 1), zero =
// round(-low / scale); scale 1 where the range is empty. Ends that lie on the wrong side of 0 are
// moved to it.
compute::StaticCode CodeOf(Range range, int bits);

// The narrowest range that holds this one and whose ends are values of its own code, so that
// nothing in `range` is outside of what the code covers. The zero of CodeOf() is rounded, which may
// move an end by half a step: of an activation that piles up at its least value, as GELU does, a
// few hundredths of the values would become outliers.
Range EndsOnCodes(Range range, int bits);

// Counts of values in bins that are as wide, relative to what they hold, for small values as for
// large ones, so that a few outliers do not blur the many.
class Histogram {
 public:
  void Add(const float* values, std::int64_t count);
  void Merge(const Histogram& other);

  Range range() const { return {low_, high_}; }
  std::int64_t count() const { return count_; }
  // Mean squared error of the values in a code, to which outliers that it keeps add nothing.
  double Error(const compute::StaticCode& code) const;
  double MeanSquare() const;
  // The narrowest range, up to a bin at each end, that leaves out at most this share of the values.
  Range WithoutOutliers(double share) const;
  double ShareOutside(Range range) const;  // bins that it cuts count as outside

 private:
  // From a magnitude's bits: 32 bins for each power of two.
  static constexpr int kBitsDropped = 23 - 5;
  static constexpr std::uint32_t kFirst = (127 - 32) << 5;  // 2^-32: smaller ones count as zeros
  static constexpr std::size_t kHalf = 64 << 5;             // up to 2^32, and all beyond
  static std::size_t BinOf(float value);
  static double Edge(std::size_t magnitude_bin);  // the lower one
  static double LowOf(std::size_t bin);
  static double HighOf(std::size_t bin);

  float low_ = 0, high_ = 0;
  std::int64_t count_ = 0;
  // Negative values, zeros, positive ones, in order; empty before the first.
  std::vector<std::int64_t> bins_;
};

// The range whose code has the least mean squared error; both ends are tried inwards.
Range LeastSquares(const Histogram& values, int bits);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_RANGE_H_
