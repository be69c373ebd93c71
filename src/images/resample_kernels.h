// The two loops of resample.h.
#ifndef ONDINE_SRC_IMAGES_RESAMPLE_KERNELS_H_
#define ONDINE_SRC_IMAGES_RESAMPLE_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace ondine::images {

// Weights have so many bits behind the point: with 8 of a pixel and a sign, as many as 32 hold.
inline constexpr int kResampleBits = 22;
inline constexpr std::int32_t kResampleHalf = 1 << (kResampleBits - 1);

// What each pixel of a row is made of: `count` pixels from `first` on. Their weights are split, so
// that parts of 16 bits can be multiplied: high * 2^kResampleLowBits + low.
struct RowWeights {
  std::size_t kept;
  const int *first, *count;        // [kept]
  const std::int16_t *high, *low;  // [kept][stride], 0 beyond `count`
  std::size_t stride;              // a multiple of kResampleTaps
};
inline constexpr int kResampleLowBits = 11;
inline constexpr std::size_t kResampleTaps = 4;
// Bytes behind a row that may be read, whatever they are.
inline constexpr std::size_t kResampleBehindRow = 16;
// Rows are added in blocks of so many bytes.
inline constexpr std::size_t kResampleBlock = 32;

struct ResampleKernels {
  // [pixels][3] to [kept][3]. The byte behind these may be overwritten.
  void (*across)(const RowWeights& weights, const std::uint8_t* row, std::uint8_t* result);
  // The weighted sum of `count` rows of `bytes`, a multiple of kResampleBlock.
  void (*down)(const std::int32_t* weights, const std::uint8_t* const* rows, int count,
               std::size_t bytes, std::uint8_t* result);
};

// For every CPU, and for those with AVX2; the same to the bit.
const ResampleKernels& PlainResampleKernels();
const ResampleKernels& Avx2ResampleKernels();
const ResampleKernels& FastestResampleKernels();

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_RESAMPLE_KERNELS_H_
