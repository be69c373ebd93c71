#include "compute/lanes_avx2.h"
#include "compute/packed_tiles.h"

namespace ondine::compute {
namespace {

struct AvxVnni {
  using Lanes = Avx2Lanes;

  template <CodeKind kCodes>
  class Dot {
   public:
    static constexpr bool kSigned = false;
    void Begin(__m256i start) { sum_ = start; }
    template <int kGroup, int kGroups>
    void Add(__m256i weights, __m256i input) {
      sum_ = _mm256_dpbusd_avx_epi32(sum_, weights, input);
    }
    __m256i Total(__m256i /*start*/) const { return sum_; }

   private:
    __m256i sum_;
  };

  static constexpr int kMostPanels = 1;
  static constexpr int kMostRows = 3;
};

}  // namespace

void MultiplyPackedAvxVnni(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                           bool add, float* y, std::int64_t stride) {
  FindPackedKernel<AvxVnni>(weights.format())(weights, panels, x, add, y, stride);
}

}  // namespace ondine::compute
