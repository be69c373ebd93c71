// Tells models apart, but not quantisations of one model.
#ifndef ONDINE_SRC_MODELS_BASE_FINGERPRINT_H_
#define ONDINE_SRC_MODELS_BASE_FINGERPRINT_H_

#include <string>

#include "models/decoder.h"

namespace ondine::models {

// 16 hexadecimal digits of a hash over the decoder's shape and its norms, which every quantisation
// keeps as floats. A model trained further with its norms left alone has the same, and so has one
// with channel scales folded in.
std::string BaseFingerprint(const Decoder& decoder);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_BASE_FINGERPRINT_H_
