#include <algorithm>
#include <cmath>

#include "compute/float_kernels.h"

namespace ondine::compute {

void MultiplyFloatScalar(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride) {
  constexpr std::int64_t kColumns = 256;
  const std::int64_t last = std::min(panels.end * FloatWeights::kPanelRows, weights.out());
  for (std::int64_t j = panels.begin * FloatWeights::kPanelRows; j < last; ++j) {
    for (std::int64_t first = 0; first < weights.in(); first += kColumns) {
      float w[kColumns];
      const std::int64_t count = std::min(kColumns, weights.in() - first);
      weights.Read(j, first, count, w);
      for (std::int64_t i = rows.begin; i < rows.end; ++i) {
        float& target = y[(i - rows.begin) * stride + j - panels.begin * FloatWeights::kPanelRows];
        float sum = add || first > 0 ? target : 0.0f;
        for (std::int64_t k = 0; k < count; ++k) sum = std::fma(w[k], x.Row(i)[first + k], sum);
        target = sum;
      }
    }
  }
}

}  // namespace ondine::compute
