#include "compute/half.h"

#include <ggml.h>

namespace ondine::compute {

std::vector<std::uint16_t> ToHalves(std::span<const float> values) {
  std::vector<std::uint16_t> halves(values.size());
  ggml_fp32_to_fp16_row(values.data(), halves.data(), static_cast<std::int64_t>(values.size()));
  return halves;
}

std::vector<std::uint16_t> ToBFloat16(std::span<const float> values) {
  std::vector<std::uint16_t> halves(values.size());
  std::vector<ggml_bf16_t> rounded(values.size());
  ggml_fp32_to_bf16_row_ref(values.data(), rounded.data(),
                            static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = rounded[i].bits;
  return halves;
}

}  // namespace ondine::compute
