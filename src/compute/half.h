// 16-bit floats.
#ifndef ONDINE_SRC_COMPUTE_HALF_H_
#define ONDINE_SRC_COMPUTE_HALF_H_

#include <cstdint>
#include <span>
#include <vector>

namespace ondine::compute {

// IEEE halves, rounded to the nearest even; what is too large becomes infinity.
std::vector<std::uint16_t> ToHalves(std::span<const float> values);

// The upper halves of floats, rounded to the nearest even.
std::vector<std::uint16_t> ToBFloat16(std::span<const float> values);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_HALF_H_
