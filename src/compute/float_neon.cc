#include "compute/float_kernels.h"
#include "compute/float_tile.h"
#include "compute/lanes_neon.h"

namespace ondine::compute {

void MultiplyFloatNeon(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                       Worker::Range rows, bool add, float* y, std::int64_t stride) {
  MultiplyFloats<NeonLanes>(weights, panels, x.Row(rows.begin), rows.end - rows.begin, x.width(),
                            add, y, stride);
}

}  // namespace ondine::compute
