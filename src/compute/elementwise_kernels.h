// The inner loops of elementwise.h, one set for each instruction set.
#ifndef ONDINE_SRC_COMPUTE_ELEMENTWISE_KERNELS_H_
#define ONDINE_SRC_COMPUTE_ELEMENTWISE_KERNELS_H_

#include <cstddef>

namespace ondine::compute {

struct ElementwiseKernels {
  void (*silu)(float* gate, const float* up, std::size_t count);
  void (*gelu)(float* gate, const float* up, std::size_t count);
  void (*gelu_alone)(float* x, std::size_t count);
  void (*quick_gelu)(float* x, std::size_t count);
  void (*exact_gelu)(float* x, std::size_t count);
  void (*add)(const float* x, std::size_t count, float* sum);
  double (*sum)(const float* x, std::size_t count);
  double (*sum_deviations)(const float* x, float mean, std::size_t count);  // of (x - mean)^2
  double (*sum_squares)(const float* x, std::size_t count);
  void (*scale)(const float* x, const float* weight, float scale, std::size_t count, float* out);
  // out = (x - mean) * scale * weight + bias
  void (*standardize)(const float* x, float mean, float scale, const float* weight,
                      const float* bias, std::size_t count, float* out);
  float (*maximum)(const float* x, std::size_t count);
  double (*sum_exp)(const float* x, float shift, std::size_t count);  // of e^(x - shift)
};

// All sets give the same numbers.
extern const ElementwiseKernels kElementwisePlain;
extern const ElementwiseKernels kElementwiseAvx2;
extern const ElementwiseKernels kElementwiseAvx512;  // needs AVX-512 F, BW, DQ and VL

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ELEMENTWISE_KERNELS_H_
