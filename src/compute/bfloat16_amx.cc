#include <immintrin.h>

#include "compute/bfloat16_rows_avx512.h"
#include "compute/float_kernels.h"
#include "compute/tiles_amx.h"

namespace ondine::compute {
namespace {

constexpr std::int64_t kStepColumns = FloatWeights::kBFloat16Columns;

struct BFloat16Product {
  static constexpr TileDot kDot = TileDot::kBFloat16;
  const FloatWeights& weights;
  const std::uint16_t* input;
  std::int64_t width;  // of a row, whole steps

  std::int64_t outputs() const { return weights.out(); }
  std::int64_t steps() const { return width / kStepColumns; }
  const std::byte* Panel(std::int64_t panel) const { return weights.Panel(panel); }
  std::int64_t panel_bytes() const { return weights.panel_bytes(); }
  const std::byte* Input(std::int64_t row) const {
    return reinterpret_cast<const std::byte*>(input + row * width);
  }
  std::int64_t input_stride() const { return width * 2; }
  static const float* Starts(std::int64_t /*panel*/) {
    alignas(64) static constexpr float kZeros[kTileOutputs] = {};
    return kZeros;
  }
  static __m512 Scales(std::int64_t /*panel*/) { return _mm512_setzero_ps(); }
  static __m512 Floats(__m512i sums, __m512 /*scales*/, __m512 old) {
    return _mm512_add_ps(_mm512_castsi512_ps(sums), old);
  }
};

}  // namespace

void MultiplyBFloat16Amx(const FloatWeights& weights, Worker::Range panels, const Activations& x,
                         Worker::Range rows, bool add, float* y, std::int64_t stride) {
  const std::int64_t count = rows.end - rows.begin;
  const std::int64_t room = (count + kTileRows - 1) / kTileRows * kTileRows;
  const std::int64_t width = (x.width() + kStepColumns - 1) / kStepColumns * kStepColumns;
  const BFloat16Product product = {weights, RoundRows(x, rows, room, width), width};
  MultiplyWithTiles(product, panels, count, add, y, stride);
}

}  // namespace ondine::compute
