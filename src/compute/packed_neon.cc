#include "compute/lanes_neon.h"
#include "compute/packed_tiles.h"

namespace ondine::compute {
namespace {

struct Neon {
  using Lanes = NeonLanes;

  // Both sides of a dot product have a sign. Small codes are the same with and without.
  template <CodeKind kCodes>
  class Dot {
   public:
    static constexpr bool kSigned = kCodes == CodeKind::k4Table || kCodes == CodeKind::k8;
    void Begin(int32x4_t start) { sum_ = start; }
    template <int kGroup, int kGroups>
    void Add(int32x4_t weights, int32x4_t input) {
      sum_ = vdotq_s32(sum_, vreinterpretq_s8_s32(weights), vreinterpretq_s8_s32(input));
    }
    int32x4_t Total(int32x4_t /*start*/) const { return sum_; }

   private:
    int32x4_t sum_;
  };

  static constexpr int kMostPanels = 1;
  static constexpr int kMostRows = 3;  // two sums for each of their four vectors, of 32 registers
};

}  // namespace

void MultiplyPackedNeon(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                        bool add, float* y, std::int64_t stride) {
  FindPackedKernel<Neon>(weights.format())(weights, panels, x, add, y, stride);
}

}  // namespace ondine::compute
