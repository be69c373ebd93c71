#include "quant/weights.h"

#include <algorithm>
#include <cmath>

namespace ondine::quant {

WeightCodes EncodeWeights(std::span<const float> w, std::int64_t out, int bits, bool per_channel) {
  const auto largest = static_cast<float>((1 << (bits - 1)) - 1);
  const std::size_t rows = static_cast<std::size_t>(out), in = w.size() / rows;
  WeightCodes result;
  for (std::size_t j = 0; j < rows; ++j) {
    float magnitude = 0;
    for (const float value : w.subspan(j * in, in)) {
      magnitude = std::max(magnitude, std::fabs(value));
    }
    result.scales.push_back(magnitude / largest);
  }
  if (!per_channel) result.scales = {*std::ranges::max_element(result.scales)};
  result.codes.resize(w.size());
  for (std::size_t j = 0; j < rows; ++j) {
    const float scale = result.scales[per_channel ? j : 0];
    for (std::size_t i = j * in; i < (j + 1) * in && scale > 0; ++i) {
      // Held, since a scale below the smallest normal float is rounded itself.
      const float code = std::clamp(std::nearbyint(w[i] / scale), -largest, largest);
      result.codes[i] = static_cast<std::int8_t>(code);
    }
  }
  return result;
}

}  // namespace ondine::quant
