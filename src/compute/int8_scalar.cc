#include <algorithm>
#include <cmath>

#include "compute/int8_kernels.h"

namespace ondine::compute {

void MultiplyInt8Scalar(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                        const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  const std::int64_t first = panels.begin * Int8Weights::kPanelRows;
  const std::int64_t last = std::min(panels.end * Int8Weights::kPanelRows, weights.out());
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const std::uint8_t* codes = x.codes + i * x.stride;
    for (std::int64_t j = first; j < last; ++j) {
      std::int32_t sum = 0;
      for (std::int64_t c = 0; c < weights.in(); ++c) sum += codes[c] * weights.At(j, c);
      float& target = y[i * stride + j - first];
      target = std::fma(static_cast<float>(sum + outputs.starts[j]), outputs.scales[j],
                        add ? target : 0.0f);
    }
  }
}

void AddInt8OutliersScalar(const Int8Weights& weights, Worker::Range panels,
                           std::span<const Int8Outlier> outliers, const float* scales, float* y) {
  const std::int64_t first = panels.begin * Int8Weights::kPanelRows;
  const std::int64_t last = std::min(panels.end * Int8Weights::kPanelRows, weights.out());
  for (std::int64_t j = first; j < last; ++j) {
    float sum = 0;
    for (const Int8Outlier& outlier : outliers) {
      sum = std::fma(outlier.excess, static_cast<float>(weights.At(j, outlier.column)), sum);
    }
    y[j - first] = std::fma(sum, scales[j], y[j - first]);
  }
}

}  // namespace ondine::compute
