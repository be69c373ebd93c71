// Weights as symmetric integers.
#ifndef ONDINE_SRC_QUANT_WEIGHTS_H_
#define ONDINE_SRC_QUANT_WEIGHTS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace ondine::quant {

struct WeightCodes {
  std::vector<std::int8_t> codes;  // [out][in], from -largest to largest
  std::vector<float> scales;       // one for each output, or one for all
};

// codes = round(w / scale), ties to even, with scale = max|w| / (2^(bits - 1) - 1) of each output
// or, without `per_channel`, of all. A row of zeros has the scale 0. `w` is finite, 2 <= bits <= 8.
WeightCodes EncodeWeights(std::span<const float> w, std::int64_t out, int bits, bool per_channel);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_WEIGHTS_H_
