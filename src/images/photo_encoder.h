// What makes vectors of pictures: a CLIP's image tower, or what stands for it.
#ifndef ONDINE_SRC_IMAGES_PHOTO_ENCODER_H_
#define ONDINE_SRC_IMAGES_PHOTO_ENCODER_H_

#include <span>
#include <string>

#include "base/quote.h"
#include "images/picture.h"
#include "ondine/result.h"

namespace ondine::images {

// Vectors of two encoders can be compared if these are equal, and never otherwise.
struct EncoderIdentity {
  std::string name;         // for people
  std::string fingerprint;  // of the weights
  int length = 0;           // of its vectors
};

// The name, and what tells it from others of that name.
inline std::string NameOf(const EncoderIdentity& encoder) {
  return base::Quote(encoder.name) + " (" + encoder.fingerprint + ")";
}

class PhotoEncoder {
 public:
  virtual ~PhotoEncoder() = default;
  virtual EncoderIdentity identity() const = 0;
  virtual PictureForm form() const = 0;  // of the pictures it takes
  // Writes [pictures.size()][identity().length] floats, vectors of length one. One call at a time.
  virtual Status Encode(std::span<const Picture> pictures, float* vectors) = 0;
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PHOTO_ENCODER_H_
