// Rows of floats, rounded to BF16.
#ifndef ONDINE_SRC_COMPUTE_BFLOAT16_ROWS_AVX512_H_
#define ONDINE_SRC_COMPUTE_BFLOAT16_ROWS_AVX512_H_

#include <immintrin.h>

#include <cstdint>

#include "compute/activations.h"
#include "compute/aligned_array.h"
#include "compute/lanes_avx512.h"
#include "compute/thread_pool.h"

namespace ondine::compute {
// Each file compiles its own copies, for its own CPU.
namespace {  // NOLINT(google-build-namespaces)

// Rows `rows` of x, [room][width], with zeros behind their last columns and undefined rows behind
// the last one; `width` is a multiple of 16. Until the calling thread's next call.
inline const std::uint16_t* RoundRows(const Activations& x, Worker::Range rows, std::int64_t room,
                                      std::int64_t width) {
  thread_local AlignedArray<std::uint16_t> rounded;
  rounded.Reserve(static_cast<std::size_t>(room * width));
  std::uint16_t* out = rounded.data();
  for (std::int64_t row = rows.begin; row < rows.end; ++row, out += width) {
    for (std::int64_t i = 0; i < width; i += 16) {
      const __mmask16 mask = i < x.width() ? FirstLanes(x.width() - i) : __mmask16{0};
      const __m256bh part = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x.Row(row) + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                          (__m256i)part);  // NOLINT(google-readability-casting): of vectors
    }
  }
  return rounded.data();
}

}  // namespace
}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_BFLOAT16_ROWS_AVX512_H_
