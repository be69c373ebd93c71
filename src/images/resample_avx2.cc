#include <immintrin.h>

#include "images/resample_kernels.h"

namespace ondine::images {
namespace {

// Four pixels at a time, as sums of pairs: in the 32-bit lanes red of the first two, red of the
// last two, green, green, blue, blue.
void Across(const RowWeights& weights, const std::uint8_t* row, std::uint8_t* result) {
  const __m256i pairs =
      _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,  //
                       2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const auto four = [](const std::int16_t* weight) {
    std::int64_t bits;
    __builtin_memcpy(&bits, weight, sizeof bits);
    return _mm256_set1_epi64x(bits);
  };
  for (std::size_t i = 0; i < weights.kept; ++i) {
    const std::uint8_t* pixel = row + 3 * static_cast<std::size_t>(weights.first[i]);
    const std::int16_t* high = weights.high + i * weights.stride;
    const std::int16_t* low = weights.low + i * weights.stride;
    const auto count = static_cast<std::size_t>(weights.count[i]);
    __m256i high_sum = _mm256_setzero_si256(), low_sum = high_sum;
    for (std::size_t k = 0; k < count; k += kResampleTaps) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel + 3 * k));
      const __m256i values = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pairs);
      high_sum = _mm256_add_epi32(high_sum, _mm256_madd_epi16(values, four(high + k)));
      low_sum = _mm256_add_epi32(low_sum, _mm256_madd_epi16(values, four(low + k)));
    }
    // Parts may wrap around, all of it does not.
    const __m256i halves = _mm256_add_epi32(_mm256_slli_epi32(high_sum, kResampleLowBits), low_sum);
    const __m256i sums = _mm256_hadd_epi32(halves, halves);
    const __m128i pixel_sums = _mm_add_epi32(
        _mm_unpacklo_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)),
        _mm_set1_epi32(kResampleHalf));
    const __m128i words = _mm_packs_epi32(_mm_srai_epi32(pixel_sums, kResampleBits), pixel_sums);
    const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(result + 3 * i, &bytes, sizeof bytes);
  }
}

// Eight bytes of a row in 32-bit lanes.
__m256i Eight(const std::uint8_t* bytes) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
}

void Down(const std::int32_t* weights, const std::uint8_t* const* rows, int count,
          std::size_t bytes, std::uint8_t* result) {
  constexpr int kVectors = kResampleBlock / 8;
  for (std::size_t at = 0; at < bytes; at += kResampleBlock) {
    __m256i sums[kVectors];
    for (__m256i& sum : sums) sum = _mm256_set1_epi32(kResampleHalf);
    for (int k = 0; k < count; ++k) {
      const __m256i weight = _mm256_set1_epi32(weights[k]);
      for (int v = 0; v < kVectors; ++v) {
        const __m256i product = _mm256_mullo_epi32(Eight(rows[k] + at + 8 * v), weight);
        sums[v] = _mm256_add_epi32(sums[v], product);
      }
    }
    for (__m256i& sum : sums) sum = _mm256_srai_epi32(sum, kResampleBits);
    // Packing works within halves of a vector; this puts groups of four bytes into their order.
    const __m256i packed = _mm256_packus_epi16(_mm256_packs_epi32(sums[0], sums[1]),
                                               _mm256_packs_epi32(sums[2], sums[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(result + at),
                        _mm256_permutevar8x32_epi32(packed, order));
  }
}

}  // namespace

const ResampleKernels& Avx2ResampleKernels() {
  static constexpr ResampleKernels kKernels = {Across, Down};
  return kKernels;
}

}  // namespace ondine::images
