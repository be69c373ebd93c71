// One head of one sequence, the part of short_attention.h that depends on the processor.
#ifndef ONDINE_SRC_COMPUTE_SHORT_ATTENTION_KERNELS_H_
#define ONDINE_SRC_COMPUTE_SHORT_ATTENTION_KERNELS_H_

#include <cstdint>

namespace ondine::compute {

struct ShortHead {
  const float *q, *k, *v;  // [length][head_dim], rows `stride` floats apart
  std::int64_t stride;
  std::int64_t length;
  int head_dim;
  float scale;
  bool causal;
  const float* bias;  // [length] or null
  bool bias_for_last_row_only;
  float* out;  // [length][head_dim], rows `out_stride` floats apart
  std::int64_t out_stride;
  float* last_weights;  // [length] or null
};

using ShortHeadKernel = void (*)(const ShortHead& head);
void AttendShortHeadPlain(const ShortHead& head);
void AttendShortHeadAvx2(const ShortHead& head);
void AttendShortHeadAvx512(const ShortHead& head);  // needs AVX-512 F, BW, DQ and VL
void AttendShortHeadNeon(const ShortHead& head);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_SHORT_ATTENTION_KERNELS_H_
