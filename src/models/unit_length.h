// Vectors of length 1, which is how texts and pictures are compared.
#ifndef ONDINE_SRC_MODELS_UNIT_LENGTH_H_
#define ONDINE_SRC_MODELS_UNIT_LENGTH_H_

#include <cmath>
#include <span>

namespace ondine::models {

// Returns the length that it had; a vector of zeros stays one.
inline double ScaleToUnitLength(std::span<float> vector) {
  double squares = 0;
  for (const float value : vector) squares += double{value} * value;
  const double length = std::sqrt(squares);
  const auto scale = static_cast<float>(length > 0 ? 1 / length : 0);
  for (float& value : vector) value *= scale;
  return length;
}

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_UNIT_LENGTH_H_
