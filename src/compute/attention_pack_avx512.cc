// Stored rows become panels of integers: loaded, rotated, scaled and put in order.
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

// Two slots' values [dim] to [dim / 8] groups of 8 pairs, a block's words apart.
void StoreValuePair(const std::int16_t* a, const std::int16_t* b, int dim, std::int32_t* out) {
  constexpr int kApart = kSlotBlock / 2 * kGroup;
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

// The same of four slots' bytes.
void StoreValueFour(const std::int16_t (*rows)[kMaxHeadDim], int dim, std::int32_t* out) {
  constexpr int kApart = kSlotBlock / 4 * kGroup;
  const __m512i byte = _mm512_set1_epi32(0xff);
  for (int d = 0; d < dim; d += kWidth, out += 2 * kApart) {
    __m512i four = _mm512_setzero_si512();
    for (int i = 3; i >= 0; --i) {
      const __m512i row =
          _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(rows[i] + d)));
      four = _mm512_or_si512(_mm512_slli_epi32(four, 8), _mm512_and_si512(row, byte));
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(four));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + kApart),
                       _mm512_extracti64x4_epi64(four, 1));
  }
}

// 16 keys of bytes [dim] to words [dim / 4][16], as numbers from 0 to 255.
void StoreKeyBytes(const ByteRows& keys, int dim, std::int32_t* out) {
  constexpr int kBytes = 4 * kWidth;
  const __m512i shift = _mm512_set1_epi8(static_cast<char>(0x80));
  alignas(64) std::int32_t words[kWidth][kSlotTile];
  for (int d = 0; d < dim; d += kBytes) {
    Transpose(keys.values[0] + d, kMaxHeadDim / 4, words[0], kSlotTile);
    for (int i = 0; i < kWidth && d + 4 * i < dim; ++i, out += kSlotTile) {
      _mm512_storeu_si512(out, _mm512_xor_si512(_mm512_load_si512(words[i]), shift));
    }
  }
}

// Up to 16 stored rows as floats; pointers to the others are null.
struct LoadedRows {
  alignas(64) FloatRows floats;
  const float* rows[kSlotTile];
};

void LoadKeys(const StoredHead& head, std::int64_t begin, std::int64_t end, LoadedRows& out) {
  const int count = static_cast<int>(end - begin);
  for (int row = 0; row < kSlotTile; ++row) out.rows[row] = row < count ? out.floats[row] : nullptr;
  LoadRows(head, head.keys + begin * head.row_bytes, count, out.floats);
  if (head.rope_dims == 0) return;
  for (int row = 0; row < count; ++row) Rotate(head, begin / kSlotTile, row, out.floats[row]);
}

// Takes the mean of the keys 1 to kCommonSlots off all, which moves a query's scores alike: what
// keys have in common, such as a bias in channels that hardly turn, then costs no bits. Key 0 is
// left out, for models often make it unlike all others.
void TakeOffCommon(const StoredHead& head, int count, FloatRows& keys) {
  LoadedRows first;
  LoadKeys(head, 0, kCommonSlots + 1, first);
  for (int d = 0; d < head.head_dim; ++d) {
    float common = 0;
    for (int slot = 1; slot <= kCommonSlots; ++slot) common += first.floats[slot][d];
    for (int row = 0; row < count; ++row) keys[row][d] -= common / kCommonSlots;
  }
}

}  // namespace

void PackAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                         const Panel& panel) {
  const int dim = head.head_dim, count = static_cast<int>(end - begin);
  LoadedRows loaded;
  IntegerRows integers;
  LoadKeys(head, begin, end, loaded);
  ToIntegers(loaded.rows, dim, IntegerRange::kDirection, integers);
  _mm512_store_ps(panel.key_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  std::int32_t* keys = KeyWords<2>(panel, dim, begin);
  for (int d = 0; d < dim; d += 2 * kWidth) {
    Transpose(integers.values[0] + d, kMaxHeadDim / 2, keys + d / 2 * kSlotTile, kSlotTile);
  }
  if (panel.values == nullptr) return;

  LoadRows(head, head.values + begin * head.row_bytes, count, loaded.floats);
  ToIntegers(loaded.rows, dim, IntegerRange::kElement, integers);
  _mm512_store_ps(panel.value_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  std::int32_t* values = ValueWords<2>(panel, dim, begin);
  for (int row = 0; row < kSlotTile; row += 2, values += kGroup) {
    StoreValuePair(integers.values[row], integers.values[row + 1], dim, values);
  }
}

void PackByteAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                             const Panel& panel) {
  const int dim = head.head_dim, count = static_cast<int>(end - begin);
  LoadedRows loaded;
  IntegerRows integers;
  LoadKeys(head, begin, end, loaded);
  if (head.takes_off_common) TakeOffCommon(head, count, loaded.floats);
  for (int row = 0; row < count; ++row) Hadamard(dim, loaded.floats[row]);
  ToIntegers(loaded.rows, dim, IntegerRange::kByte, integers);
  _mm512_store_ps(panel.key_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  ByteRows bytes;
  ToBytes(integers, dim, bytes);
  StoreKeyBytes(bytes, dim, KeyWords<4>(panel, dim, begin));
  if (panel.values == nullptr) return;

  LoadRows(head, head.values + begin * head.row_bytes, count, loaded.floats);
  ToIntegers(loaded.rows, dim, IntegerRange::kByte, integers);
  _mm512_store_ps(panel.value_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  std::int32_t* values = ValueWords<4>(panel, dim, begin);
  for (int row = 0; row < kSlotTile; row += 4, values += kGroup) {
    StoreValueFour(integers.values + row, dim, values);
  }
}

}  // namespace ondine::compute
