// What a Clip consists of.
#ifndef ONDINE_SRC_IMAGES_CLIP_PARTS_H_
#define ONDINE_SRC_IMAGES_CLIP_PARTS_H_

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compute/thread_pool.h"
#include "images/photo_encoder.h"
#include "models/clip.h"
#include "models/clip_pass.h"
#include "ondine/images.h"
#include "text/clip_tokenizer.h"

namespace ondine {

struct Clip::Parts : images::PhotoEncoder {
  Parts(int threads, text::ClipTokenizer text_tokenizer)
      : pool(threads), tokenizer(std::move(text_tokenizer)) {}

  images::EncoderIdentity identity() const override;
  images::PictureForm form() const override;
  Status Encode(std::span<const images::Picture> pictures, float* vectors) override;
  void EncodeAll(std::span<const images::Picture> pictures, float* vectors);  // which cannot fail

  ClipInfo info;
  std::string fingerprint;
  compute::ThreadPool pool;
  text::ClipTokenizer tokenizer;
  std::shared_ptr<const models::Clip> weights;
  std::unique_ptr<models::ClipPass> pass;
};

}  // namespace ondine

#endif  // ONDINE_SRC_IMAGES_CLIP_PARTS_H_
