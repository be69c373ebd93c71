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

// Counts of values in bins of equal width, whose ends move outwards as larger values come: then
// neighbouring bins are merged, so that one reading of a text is enough.
class Histogram {
 public:
  static constexpr std::size_t kBins = 4096;

  void Add(const float* values, std::int64_t count);
  void Merge(const Histogram& other);

  Range range() const { return {low_, high_}; }
  std::int64_t count() const { return count_; }
  // Mean squared error of the values, each taken to lie in the middle of its bin, in a code.
  double Error(const compute::StaticCode& code) const;
  double MeanSquare() const;

 private:
  // Bin i covers [width_ * (i - half), width_ * (i + 1 - half)).
  void Widen(float magnitude);
  template <typename Term>
  double Mean(Term term) const;  // of term(value)
  std::size_t BinOf(float value) const;

  float low_ = 0, high_ = 0;
  float width_ = 0;  // of a bin; 0 before the first value
  std::int64_t count_ = 0;
  std::vector<std::int64_t> bins_;
};

// The range whose code has the least mean squared error; both ends are tried inwards.
Range LeastSquares(const Histogram& values, int bits);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_RANGE_H_
