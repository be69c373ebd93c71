#include "compute/activation_quants.h"
#include "compute/activation_quants_loops.h"

namespace ondine::compute {

void QuantizeRowAvx2(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                     std::int32_t* half_sums) {
  QuantizeRow(x, blocks, quants, scales, half_sums);
}

}  // namespace ondine::compute
