// The static 8-bit code of a linear layer's inputs: one scale and one zero for all tokens, known
// before the model runs, so that a value is coded without looking at its neighbours. The few values
// outside of what the code can hold may be kept as floats beside it (as OLAccel does: Park et al.,
// ISCA 2018): a range for the many, without an error for the few.
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
  // Values that it cannot hold are outliers: what they exceed it by is not lost.
  bool keeps_outliers = false;

  bool operator==(const StaticCode&) const = default;
};

// What an outlier exceeds its code by, in units of `scale`, held within this.
inline constexpr float kLargestExcess = 1e9f;
float Excess(const StaticCode& code, float x);

// Codes `count` values. `outliers`: null, or a bit for each value, in groups of 16 of which the
// last is filled up with zeros: whether the code cannot hold it (NaN: it can).
void Encode(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
            std::uint16_t* outliers = nullptr);

using Encoder = void (*)(const StaticCode& code, const float* x, std::int64_t count,
                         std::uint8_t* q, std::uint16_t* outliers);
void EncodeScalar(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                  std::uint16_t* outliers = nullptr);
// The same codes, where HasAvx2(), HasAvx512() or HasNeon().
void EncodeAvx2(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                std::uint16_t* outliers = nullptr);
void EncodeAvx512(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                  std::uint16_t* outliers = nullptr);
void EncodeNeon(const StaticCode& code, const float* x, std::int64_t count, std::uint8_t* q,
                std::uint16_t* outliers = nullptr);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_STATIC_CODE_H_
