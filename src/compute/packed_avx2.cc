#include <type_traits>

#include "compute/lanes_avx2.h"
#include "compute/packed_tiles.h"

namespace ondine::compute {
namespace {

constexpr int LargestValue(CodeKind kind) {
  switch (kind) {
    case CodeKind::k2: return 3;
    case CodeKind::k3: return 7;
    case CodeKind::k4: return 15;
    case CodeKind::k5: return 31;
    case CodeKind::k6: return 63;
    case CodeKind::k4Table:
    case CodeKind::k8: return 255;
  }
  return 255;
}

// Keeps GCC from summing in another order, which takes more registers than there are.
inline void KeepOrder(__m256i& sum) {
  asm("" : "+x"(sum));
}

// Products of bytes are summed in 16 bits here, two at a time, as often as the largest codes allow
// (8 times with codes of 4 bits); only then in 32 bits.
template <int kFit>
class NarrowDot {
 public:
  static constexpr bool kSigned = false;
  void Begin(__m256i /*start*/) {}
  template <int kGroup, int kGroups>
  void Add(__m256i weights, __m256i input) {
    const __m256i pairs = _mm256_maddubs_epi16(weights, input);
    narrow_ = kGroup % kFit == 0 ? pairs : _mm256_add_epi16(narrow_, pairs);
    if constexpr (kFit == kGroups) KeepOrder(narrow_);
    if constexpr (kGroup % kFit == kFit - 1 || kGroup == kGroups - 1) {
      const __m256i fours = _mm256_madd_epi16(narrow_, _mm256_set1_epi16(1));
      sum_ = kGroup < kFit ? fours : _mm256_add_epi32(sum_, fours);
    }
  }
  __m256i Total(__m256i start) const { return _mm256_add_epi32(sum_, start); }

 private:
  __m256i narrow_, sum_;
};

// Where codes are too large for that, numbers with their signs are not: at most 128 x 127, twice.
class SignedDot {
 public:
  static constexpr bool kSigned = true;
  void Begin(__m256i start) { sum_ = start; }
  template <int kGroup, int kGroups>
  void Add(__m256i weights, __m256i input) {
    const __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(input, weights));
    sum_ = _mm256_add_epi32(sum_, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    KeepOrder(sum_);
  }
  __m256i Total(__m256i /*start*/) const { return sum_; }

 private:
  __m256i sum_;
};

constexpr int Fit(CodeKind kind) {
  return 32767 / (2 * 127 * LargestValue(kind));
}

struct Avx2 {
  using Lanes = Avx2Lanes;
  template <CodeKind kCodes>
  using Dot = std::conditional_t<(Fit(kCodes) > 0), NarrowDot<Fit(kCodes)>, SignedDot>;
  static constexpr int kMostPanels = 1;
  static constexpr int kMostRows = 2;
};

}  // namespace

void MultiplyPackedAvx2(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                        bool add, float* y, std::int64_t stride) {
  FindPackedKernel<Avx2>(weights.format())(weights, panels, x, add, y, stride);
}

}  // namespace ondine::compute
