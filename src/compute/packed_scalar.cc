#include <algorithm>
#include <cmath>

#include "compute/packed_kernels.h"

namespace ondine::compute {
namespace {

// Adds one block of one row of x to the sums of a panel's 16 outputs.
void AddBlock(const PackedFormat& format, const std::uint8_t (&codes)[kGroups][kPanelRows][4],
              const BlockScales& scales, const PackedInput& x, std::int64_t row, std::int64_t block,
              float (&sums)[kPanelRows]) {
  const std::int64_t at = row * x.blocks + block;
  const std::int8_t* quants = x.quants + at * PackedFormat::kBlock;
  const int parts = ScalesPerBlock(format.scales);
  const std::int64_t groups = kGroups / parts;
  for (int part = 0; part < parts; ++part) {
    const bool has_min = HasMin(format.scales);
    const std::int32_t start = has_min ? 0 : x.starts[at * parts + part] - kDotBias;
    for (std::int64_t lane = 0; lane < kPanelRows; ++lane) {
      std::int32_t dot = start;
      for (std::int64_t group = part * groups; group < (part + 1) * groups; ++group) {
        for (int i = 0; i < 4; ++i) dot += codes[group][lane][i] * quants[group * 4 + i];
      }
      float& sum = sums[lane];
      sum = std::fma(static_cast<float>(dot) * scales.scale[part][lane], x.scales[at], sum);
      if (has_min) sum = std::fma(scales.min[part][lane], x.scaled_sums[at * parts + part], sum);
    }
  }
}

}  // namespace

void MultiplyPackedScalar(const PackedWeights& weights, Worker::Range panels, const PackedInput& x,
                          bool add, float* y, std::int64_t stride) {
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t first = panel * kPanelRows;
    const std::int64_t count = std::min(kPanelRows, weights.out() - first);
    for (std::int64_t block = 0; block < weights.blocks(); ++block) {
      std::uint8_t codes[kGroups][kPanelRows][4];
      BlockScales scales;
      weights.ReadCodes(panel, block, codes, {});
      weights.ReadScales(panel, block, scales, {});
      for (std::int64_t row = 0; row < x.rows; ++row) {
        float* target = y + row * stride + first - panels.begin * kPanelRows;
        float sums[kPanelRows] = {};
        if (block > 0 || add) std::copy(target, target + count, sums);
        AddBlock(weights.format(), codes, scales, x, row, block, sums);
        std::copy(sums, sums + count, target);
      }
    }
  }
}

}  // namespace ondine::compute
