#include "compute/float_weights.h"

#include <ggml.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "compute/atomic_min.h"
#include "compute/weight_memory.h"

namespace ondine::compute {
namespace {

using formats::TensorType;

float Element(TensorType type, const std::byte* at) {
  if (type == TensorType::kF32) {
    float value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  if (type == TensorType::kF16) return ggml_fp16_to_fp32(bits);
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

}  // namespace

FloatWeights::FloatWeights(TensorType type, std::int64_t in, std::int64_t out)
    : type_(type), in_(in), out_(out), element_bytes_(formats::Describe(type).bytes_per_block) {
  const std::int64_t multiple = type == TensorType::kBF16 ? kBFloat16Columns : 1;
  const std::int64_t columns = (in + multiple - 1) / multiple * multiple;
  panel_bytes_ = columns * kPanelRows * element_bytes_;
  data_ = AllocateWeights(bytes());
}

std::int64_t FloatWeights::Pack(std::span<const std::byte> data, ThreadPool& pool) {
  std::atomic<std::int64_t> bad_row{out_};
  pool.Run([&](Worker& worker) {
    const Worker::Range share = worker.Share(panels());
    for (std::int64_t panel = share.begin; panel < share.end; ++panel) {
      std::byte* target = data_.get() + panel * panel_bytes_;
      std::memset(target, 0, static_cast<std::size_t>(panel_bytes_));
      for (std::int64_t lane = 0; lane < kPanelRows; ++lane) {
        const std::int64_t row = panel * kPanelRows + lane;
        if (row >= out_) break;
        bool finite = true;
        for (std::int64_t column = 0; column < in_; ++column) {
          const std::byte* at = data.data() + (row * in_ + column) * element_bytes_;
          std::memcpy(target + Index(lane, column) * element_bytes_, at,
                      static_cast<std::size_t>(element_bytes_));
          finite &= std::isfinite(Element(type_, at));
        }
        if (!finite) LowerTo(bad_row, row);
      }
    }
  });
  return bad_row;
}

void FloatWeights::Read(std::int64_t row, std::int64_t first, std::int64_t count,
                        float* out) const {
  const std::byte* panel = Panel(row / kPanelRows);
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = Element(type_, panel + Index(row % kPanelRows, first + i) * element_bytes_);
  }
}

}  // namespace ondine::compute
