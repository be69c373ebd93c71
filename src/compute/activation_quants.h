// Rows of floats to blocks of 8-bit numbers (activations.h).
#ifndef ONDINE_SRC_COMPUTE_ACTIVATION_QUANTS_H_
#define ONDINE_SRC_COMPUTE_ACTIVATION_QUANTS_H_

#include <cstdint>

namespace ondine::compute {

// quants: [blocks][32], scales: [blocks], half_sums: [blocks][2].
using RowQuantizer = void (*)(const float* x, std::int64_t blocks, std::int8_t* quants,
                              float* scales, std::int32_t* half_sums);

void QuantizeRowScalar(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                       std::int32_t* half_sums);

// The same numbers, where HasAvx2() or HasAvx512().
void QuantizeRowAvx2(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                     std::int32_t* half_sums);
void QuantizeRowAvx512(const float* x, std::int64_t blocks, std::int8_t* quants, float* scales,
                       std::int32_t* half_sums);

// The fastest one that this CPU can run.
RowQuantizer BestRowQuantizer();

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ACTIVATION_QUANTS_H_
