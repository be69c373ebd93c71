#include "compute/int8_kernels.h"
#include "compute/int8_tiles.h"
#include "compute/lanes_neon.h"

namespace ondine::compute {
namespace {

struct Neon {
  using Lanes = NeonLanes;
  using Weights = int8x16_t;
  using Codes = int8x16_t;
  static Weights Load(const std::int8_t* from) { return vld1q_s8(from); }
  // Both sides of a dot product have a sign, so codes come less 128 (Int8Kernels).
  static Codes Spread(const std::uint8_t* from) {
    static_assert(kNeonCodeOffset == 0x80);
    return vreinterpretq_s8_s32(veorq_s32(Lanes::FourBytes(from), Lanes::SetBytes(0x80)));
  }
  static void Add(int32x4_t& sum, Codes codes, Weights weights) {
    sum = vdotq_s32(sum, codes, weights);
  }
  static constexpr int kMostPanels = 1;
  static constexpr int kMostRows = 5;  // 20 sums and 5 operands, of 32 registers
  static constexpr int kMostStreams = 4;
};

}  // namespace

void MultiplyInt8Neon(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                      const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  Int8Products<Neon>::Multiply(weights, panels, x, outputs, add, y, stride);
}

void AddInt8OutliersNeon(const Int8Weights& weights, Worker::Range panels,
                         std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  AddInt8Outliers<NeonLanes>(weights, panels, outliers, scales, y);
}

}  // namespace ondine::compute
