// The static 8-bit code of a linear layer's inputs: one scale and one zero for all tokens, known
// before the model runs, so that a value is coded without looking at its neighbours.
#ifndef ONDINE_SRC_COMPUTE_STATIC_CODE_H_
#define ONDINE_SRC_COMPUTE_STATIC_CODE_H_

#include <cstdint>

namespace ondine::compute {

// q = round(x * (1 / scale)) + zero, ties to even, held between 0 and `largest`; stands for
// scale * (q - zero). The reciprocal and the product are rounded to floats. NaN becomes 0.
struct StaticCode {
  float scale = 1;
  std::int32_t zero = 0;       // the code of x = 0
  std::int32_t largest = 255;  // fewer bits have fewer codes

  bool operator==(const StaticCode&) const = default;
};

// Codes `count` values.
void Encode(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q);

using Encoder = void (*)(const StaticCode& code, const float* x, std::int64_t count,
                         std::uint8_t* q);
void EncodeScalar(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q);
// The same codes; needs AVX-512 F, BW, DQ and VL.
void EncodeAvx512(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_STATIC_CODE_H_
