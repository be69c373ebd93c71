#include "compute/float_kernels.h"
#include "compute/float_tile.h"
#include "compute/lanes_avx512.h"

namespace ondine::compute {

void MultiplyFloatAvx512(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride) {
  MultiplyFloats<Avx512Lanes>(weights, panels, x.Row(rows.begin), rows.end - rows.begin, x.width(),
                              add, y, stride);
}

}  // namespace ondine::compute
