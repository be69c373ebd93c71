#include "compute/int8_weights.h"

#include <algorithm>
#include <cstring>

#include "compute/weight_memory.h"

namespace ondine::compute {

Int8Weights::Int8Weights(std::int64_t in, std::int64_t out, std::span<const std::byte> data,
                         std::span<const float> scales, ThreadPool& pool)
    : in_(in),
      out_(out),
      groups_((in + kGroup - 1) / kGroup),
      panels_((out + kPanelRows - 1) / kPanelRows),
      data_(AllocateWeights(static_cast<std::size_t>(panels_ * panel_bytes()))),
      scales_(static_cast<std::size_t>(panels_ * kPanelRows)),
      sums_(static_cast<std::size_t>(panels_ * kPanelRows)) {
  std::fill_n(scales_.data(), scales_.capacity(), 0.0f);
  for (std::int64_t j = 0; j < out; ++j) {
    scales_.data()[j] = scales[scales.size() == 1 ? 0 : static_cast<std::size_t>(j)];
  }
  pool.Run([&](Worker& worker) {
    const Worker::Range share = worker.Share(panels_);
    for (std::int64_t panel = share.begin; panel < share.end; ++panel) Pack(data.data(), panel);
  });
}

void Int8Weights::Pack(const std::byte* data, std::int64_t panel) {
  std::byte* target = data_.get() + panel * panel_bytes();
  std::memset(target, 0, static_cast<std::size_t>(panel_bytes()));
  for (std::int64_t lane = 0; lane < kPanelRows; ++lane) {
    const std::int64_t row = panel * kPanelRows + lane;
    std::int32_t sum = 0;
    for (std::int64_t column = 0; row < out_ && column < in_; ++column) {
      const std::byte value = data[row * in_ + column];
      target[(column / kGroup * kPanelRows + lane) * kGroup + column % kGroup] = value;
      sum += static_cast<std::int8_t>(value);
    }
    sums_.data()[row] = sum;
  }
}

std::size_t Int8Weights::bytes() const {
  const auto rows = static_cast<std::size_t>(panels_ * kPanelRows);
  return static_cast<std::size_t>(panels_ * panel_bytes()) +
         rows * (sizeof(float) + sizeof(std::int32_t));
}

}  // namespace ondine::compute
