// Of a few vectors: what is done with many lies in images/vector_index.h.
#ifndef ONDINE_SRC_IMAGES_VECTOR_MATH_H_
#define ONDINE_SRC_IMAGES_VECTOR_MATH_H_

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace ondine::images {

inline double Dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

inline void Softmax(std::span<double> values) {
  const double largest = *std::ranges::max_element(values);
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - largest);
  for (double& value : values) value /= sum;
}

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_VECTOR_MATH_H_
