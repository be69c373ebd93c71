#include "compute/activation_quants.h"

#include "compute/activation_quants_loops.h"
#include "compute/cpu_features.h"

namespace ondine::compute {

void QuantizeRowScalar(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                       std::int32_t* half_sums) {
  QuantizeRow(x, blocks, quants, scales, half_sums);
}

RowQuantizer BestRowQuantizer() {
#if defined(__x86_64__)
  if (HasAvx512()) return QuantizeRowAvx512;
  if (HasAvx2()) return QuantizeRowAvx2;
#endif
  return QuantizeRowScalar;
}

}  // namespace ondine::compute
