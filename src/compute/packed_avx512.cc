#include "compute/lanes_avx512.h"
#include "compute/packed_tiles.h"

namespace ondine::compute {
namespace {

struct Avx512 {
  using Lanes = Avx512Lanes;

  template <CodeKind kCodes>
  class Dot {
   public:
    static constexpr bool kSigned = false;
    void Begin(__m512i start) { sum_ = start; }
    template <int kGroup, int kGroups>
    void Add(__m512i weights, __m512i input) {
      sum_ = _mm512_dpbusd_epi32(sum_, weights, input);
    }
    __m512i Total(__m512i /*start*/) const { return sum_; }

   private:
    __m512i sum_;
  };

  static constexpr int kMostPanels = 2;
  static constexpr int kMostRows = 6;  // 12 integer and 12 float sums fill the registers
};

}  // namespace

void MultiplyPackedAvx512(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                          bool add, float* y, std::int64_t stride) {
  FindPackedKernel<Avx512>(weights.format())(weights, panels, x, add, y, stride);
}

}  // namespace ondine::compute
