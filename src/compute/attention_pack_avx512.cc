// Stored rows become panels of integers: loaded, rotated, scaled and put in order.
#include "compute/attention_integers_avx512.h"
#include "compute/attention_rotation.h"

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

// kPerWord slots' values [dim] to words [dim / 8][8], a block's words apart.
template <int kPerWord>
void StoreValues(const std::int16_t (*rows)[kMaxHeadDim], int dim, std::int32_t* out) {
  constexpr int kApart = kSlotBlock / kPerWord * kGroup, kBits = 32 / kPerWord;
  const __m512i mask = _mm512_set1_epi32((1 << kBits) - 1);
  for (int d = 0; d < dim; d += kWidth, out += 2 * kApart) {
    __m512i words = _mm512_setzero_si512();
    for (int i = kPerWord - 1; i >= 0; --i) {
      const __m512i row =
          _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(rows[i] + d)));
      words = _mm512_or_si512(_mm512_slli_epi32(words, kBits), _mm512_and_si512(row, mask));
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(words));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + kApart),
                       _mm512_extracti64x4_epi64(words, 1));
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
  for (int row = 0; row < count; ++row) RotateKey(head, begin + row, out.floats[row]);
}

// The mean of the keys 1 to kCommonSlots, or zeros. Taken off all keys it moves a query's scores
// alike: what keys have in common, such as a bias in channels that hardly turn, then costs no bits.
// Key 0 is left out, for models often make it unlike all others.
void FindCommon(const StoredHead& head, float* common) {
  __builtin_memset(common, 0, head.head_dim * sizeof(float));
  if (!head.takes_off_common) return;
  LoadedRows first;
  LoadKeys(head, 0, kCommonSlots + 1, first);
  for (int d = 0; d < head.head_dim; ++d) {
    for (int slot = 1; slot <= kCommonSlots; ++slot) common[d] += first.floats[slot][d];
    common[d] /= kCommonSlots;
  }
}

// What differs between the two sizes of integers.

struct PairPanel {
  static constexpr int kPerWord = 2;
  static constexpr IntegerRange kKeys = IntegerRange::kDirection, kValues = IntegerRange::kElement;

  explicit PairPanel(const StoredHead&) {}
  void Prepare(int /*dim*/, int /*count*/, FloatRows&) const {}

  // 16 keys [dim] to words [dim / 2][16].
  static void StoreKeys(const IntegerRows& keys, int dim, std::int32_t* out) {
    for (int d = 0; d < dim; d += 2 * kWidth) {
      Transpose(keys.values[0] + d, kMaxHeadDim / 2, out + d / 2 * kSlotTile, kSlotTile);
    }
  }
};

struct BytePanel {
  static constexpr int kPerWord = 4;
  static constexpr IntegerRange kKeys = IntegerRange::kByte, kValues = IntegerRange::kByte;

  alignas(64) float common[kMaxHeadDim];

  explicit BytePanel(const StoredHead& head) { FindCommon(head, common); }
  void Prepare(int dim, int count, FloatRows& keys) const {
    for (int row = 0; row < count; ++row) {
      for (int d = 0; d < dim; ++d) keys[row][d] -= common[d];
      Hadamard(dim, keys[row]);
    }
  }

  // 16 keys [dim] to words [dim / 4][16], as numbers from 0 to 255.
  static void StoreKeys(const IntegerRows& keys, int dim, std::int32_t* out) {
    const __m512i shift = _mm512_set1_epi8(static_cast<char>(0x80));
    ByteRows bytes;
    ToBytes(keys, dim, bytes);
    alignas(64) std::int32_t words[kWidth][kSlotTile];
    for (int d = 0; d < dim; d += 4 * kWidth) {
      Transpose(bytes.values[0] + d, kMaxHeadDim / 4, words[0], kSlotTile);
      for (int i = 0; i < kWidth && d + 4 * i < dim; ++i, out += kSlotTile) {
        _mm512_storeu_si512(out, _mm512_xor_si512(_mm512_load_si512(words[i]), shift));
      }
    }
  }
};

template <typename Form>
void PackTile(const Form& form, const StoredHead& head, std::int64_t begin, std::int64_t end,
              const Panel& panel) {
  const int dim = head.head_dim, count = static_cast<int>(end - begin);
  LoadedRows loaded;
  IntegerRows integers;
  LoadKeys(head, begin, end, loaded);
  form.Prepare(dim, count, loaded.floats);
  ToIntegers(loaded.rows, dim, Form::kKeys, integers);
  _mm512_store_ps(panel.key_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  Form::StoreKeys(integers, dim, KeyWords<Form::kPerWord>(panel, dim, begin));
  if (panel.values == nullptr) return;

  LoadRows(head, head.values + begin * head.row_bytes, count, loaded.floats);
  ToIntegers(loaded.rows, dim, Form::kValues, integers);
  _mm512_store_ps(panel.value_scales + (begin - panel.begin), _mm512_load_ps(integers.units));
  std::int32_t* values = ValueWords<Form::kPerWord>(panel, dim, begin);
  for (int row = 0; row < kSlotTile; row += Form::kPerWord, values += kGroup) {
    StoreValues<Form::kPerWord>(integers.values + row, dim, values);
  }
}

template <typename Form>
void Pack(const StoredHead& head, std::int64_t begin, std::int64_t end, const Panel& panel) {
  const Form form(head);
  for (std::int64_t tile = begin; tile < end; tile += kSlotTile) {
    PackTile(form, head, tile, tile + kSlotTile < end ? tile + kSlotTile : end, panel);
  }
}

}  // namespace

void PackAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                         const Panel& panel) {
  Pack<PairPanel>(head, begin, end, panel);
}

void PackByteAttentionAvx512(const StoredHead& head, std::int64_t begin, std::int64_t end,
                             const Panel& panel) {
  Pack<BytePanel>(head, begin, end, panel);
}

}  // namespace ondine::compute
