// Stored rows become panels of 16-bit integers: loaded, rotated, scaled and put in order.
#include "compute/attention_integers_avx512.h"

namespace ondine::compute {
namespace {

using FloatRows = float[kSlotTile][kMaxHeadDim];

template <KvType kType>
void LoadRows(const std::byte* rows, std::size_t row_bytes, int count, int dim, FloatRows& out) {
  for (int row = 0; row < count; ++row, rows += row_bytes) {
    for (int block = 0; block < dim / kKvBlock; ++block) {
      __m512 low, high;
      LoadKvBlock<kType>(rows, dim, block, low, high);
      _mm512_store_ps(out[row] + block * kKvBlock, low);
      _mm512_store_ps(out[row] + block * kKvBlock + kWidth, high);
    }
  }
}

void LoadRows(const StoredHead& head, const std::byte* rows, int count, FloatRows& out) {
  switch (head.type) {
    case KvType::kF16:
      return LoadRows<KvType::kF16>(rows, head.row_bytes, count, head.head_dim, out);
    case KvType::kQ8_0:
      return LoadRows<KvType::kQ8_0>(rows, head.row_bytes, count, head.head_dim, out);
    case KvType::kQ4_0:
      return LoadRows<KvType::kQ4_0>(rows, head.row_bytes, count, head.head_dim, out);
  }
}

void Rotate(const StoredHead& head, std::int64_t slot_tile, int lane, float* x) {
  const int dims = head.rope_dims;
  const float* tile_cos = head.tile_cos + slot_tile * dims;
  const float* tile_sin = head.tile_sin + slot_tile * dims;
  const float* lane_cos = head.lane_cos + lane * dims;
  const float* lane_sin = head.lane_sin + lane * dims;
  alignas(64) float c[kMaxHeadDim], s[kMaxHeadDim];
  for (int e = 0; e < dims; ++e) {
    c[e] = tile_cos[e] * lane_cos[e] - tile_sin[e] * lane_sin[e];
    s[e] = tile_sin[e] * lane_cos[e] + tile_cos[e] * lane_sin[e];
  }
  if (head.neighbours) {
    for (int e = 0; e < dims; e += 2) {
      const float a = x[e], b = x[e + 1];
      x[e] = a * c[e] + b * s[e];
      x[e + 1] = b * c[e + 1] + a * s[e + 1];
    }
  } else {
    const int half = dims / 2;
    for (int e = 0; e < half; ++e) {
      const float a = x[e], b = x[e + half];
      x[e] = a * c[e] + b * s[e];
      x[e + half] = b * c[e + half] + a * s[e + half];
    }
  }
}

// Two slots' values [dim] to [dim / 8] groups of 8 pairs, a block's pairs apart.
void StoreValuePair(const std::int16_t* a, const std::int16_t* b, int dim, std::int32_t* out) {
  constexpr int kApart = kBlockPairs * kGroup;
  for (int d = 0; d < dim; d += kWidth, out += 2 * kApart) {
    const __m512i even =
        _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(a + d)));
    const __m512i odd =
        _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(b + d)));
    const __m512i pairs = _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(pairs));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + kApart),
                       _mm512_extracti64x4_epi64(pairs, 1));
  }
}

}  // namespace

void PackAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                         const Panel& panel) {
  const int dim = head.head_dim, count = static_cast<int>(end - begin);
  alignas(64) FloatRows floats;
  IntegerRows integers;
  const float* rows[kSlotTile];
  for (int row = 0; row < kSlotTile; ++row) rows[row] = row < count ? floats[row] : nullptr;

  LoadRows(head, head.keys + begin * head.row_bytes, count, floats);
  if (head.rope_dims > 0) {
    for (int row = 0; row < count; ++row) Rotate(head, begin / kSlotTile, row, floats[row]);
  }
  ToIntegers(rows, dim, IntegerRange::kDirection, integers);
  _mm512_store_ps(panel.key_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  std::int32_t* keys = KeyPairs(panel, dim, begin);
  for (int d = 0; d < dim; d += 2 * kWidth) {
    Transpose(integers.values[0] + d, kMaxHeadDim / 2, keys + d / 2 * kSlotTile, kSlotTile);
  }
  if (panel.values == nullptr) return;

  LoadRows(head, head.values + begin * head.row_bytes, count, floats);
  ToIntegers(rows, dim, IntegerRange::kElement, integers);
  _mm512_store_ps(panel.value_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  std::int32_t* values = ValuePairs(panel, dim, begin);
  for (int row = 0; row < kSlotTile; row += 2, values += kGroup) {
    StoreValuePair(integers.values[row], integers.values[row + 1], dim, values);
  }
}

}  // namespace ondine::compute
