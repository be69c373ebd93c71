#include "compute/half.h"

#include <ggml.h>

namespace ondine::compute {

std::vector<std::uint16_t> ToHalves(std::span<const float> values) {
  std::vector<std::uint16_t> halves(values.size());
  ggml_fp32_to_fp16_row(values.data(), halves.data(), static_cast<std::int64_t>(values.size()));
  return halves;
}

}  // namespace ondine::compute
