#include <arm_neon.h>

#include "compute/machine_bounds_chains.h"
#include "compute/machine_bounds_units.h"

namespace ondine::compute {
namespace {

struct Unit {
  using Integers = int32x4_t;
  static constexpr int kPairs = 16;
  static Integers Set(char byte) {
    return vreinterpretq_s32_s8(vdupq_n_s8(static_cast<std::int8_t>(byte)));
  }
  static void Add(Integers& sum, Integers a, Integers b) {
    sum = vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
  }
  static std::int32_t Word(Integers x) { return vgetq_lane_s32(x, 0); }
};

}  // namespace

double RunInt8ProductsNeon(std::int64_t rounds, std::int32_t* sink) {
  return RunChains<Unit>(rounds, sink);
}

}  // namespace ondine::compute
