#include <immintrin.h>

#include "compute/int8_kernels.h"
#include "compute/tiles_amx.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kStepGroups = kTileRowBytes / Int8Weights::kGroup;

struct Int8Product {
  static constexpr TileDot kDot = TileDot::kBytes;
  const Int8Weights& weights;
  const Int8Input& x;
  const Int8Outputs& output;

  std::int64_t outputs() const { return weights.out(); }
  std::int64_t steps() const { return weights.groups() / kStepGroups; }
  const std::byte* Panel(std::int64_t panel) const {
    return reinterpret_cast<const std::byte*>(weights.Panel(panel));
  }
  std::int64_t panel_bytes() const { return weights.panel_bytes(); }
  const std::byte* Input(std::int64_t row) const {
    return reinterpret_cast<const std::byte*>(x.codes + row * x.stride);
  }
  std::int64_t input_stride() const { return x.stride; }
  const std::int32_t* Starts(std::int64_t panel) const {
    return output.starts + panel * kTileOutputs;
  }
  __m512 Scales(std::int64_t panel) const {
    return _mm512_load_ps(output.scales + panel * kTileOutputs);
  }
  static __m512 Floats(__m512i sums, __m512 scales, __m512 old) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), scales, old);
  }
};

}  // namespace

void MultiplyInt8Amx(const Int8Weights& weights, Worker::Range panels, const Int8Input& x,
                     const Int8Outputs& outputs, bool add, float* y, std::int64_t stride) {
  const bool whole_steps = weights.groups() % kStepGroups == 0;
  const std::int64_t tiled = whole_steps ? x.rows / kTileRows * kTileRows : 0;
  if (tiled > 0) {
    MultiplyWithTiles(Int8Product{weights, x, outputs}, panels, tiled, add, y, stride);
  }
  const Int8Input rest = {x.rows - tiled, x.codes + tiled * x.stride, x.stride};
  if (rest.rows > 0) {
    MultiplyInt8Avx512(weights, panels, rest, outputs, add, y + tiled * stride, stride);
  }
}

}  // namespace ondine::compute
