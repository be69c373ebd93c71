// An encoder whose vectors are the mean colours of the pictures.
#ifndef ONDINE_TESTS_IMAGES_FAKE_ENCODER_H_
#define ONDINE_TESTS_IMAGES_FAKE_ENCODER_H_

#include <array>
#include <cmath>
#include <functional>
#include <span>

#include "images/photo_encoder.h"

namespace ondine::testing {

class FakeEncoder : public images::PhotoEncoder {
 public:
  images::EncoderIdentity identity() const override { return {"fake", fingerprint, 3}; }
  images::PictureForm form() const override { return {.size = 4}; }
  Status Encode(std::span<const images::Picture> pictures, float* vectors) override {
    for (const images::Picture& picture : pictures) {
      std::array<double, 3> sum{1e-6, 1e-6, 1e-6};
      for (std::size_t i = 0; i < picture.pixels.size(); ++i) sum[i % 3] += picture.pixels[i];
      const double length = std::hypot(sum[0], sum[1], sum[2]);
      for (const double value : sum) *vectors++ = static_cast<float>(value / length);
      ++encoded;
    }
    return after ? after() : Status();
  }

  std::string fingerprint = "1";
  int encoded = 0;                // pictures
  std::function<Status()> after;  // each batch
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_IMAGES_FAKE_ENCODER_H_
