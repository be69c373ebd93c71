// Pixels as CLIP's image tower takes them.
#ifndef ONDINE_TRAIN_CLIP_PICTURES_H_
#define ONDINE_TRAIN_CLIP_PICTURES_H_

#include <torch/types.h>

#include <cstdint>

#include "models/clip_spec.h"
#include "train/photo_set.h"

namespace ondine::train {

// The set's pixels, [items][size][size][3] bytes: a view that must not be written to.
torch::Tensor BytesOf(const PhotoSet& photos);

// Floats [n][3][size][size], normalised, of bytes [n][size][size][3].
torch::Tensor Normalised(const torch::Tensor& bytes, const models::ClipSpec& spec);

// The same of varied pictures: a part of each (sides cut to 77 % at least, each by itself), in the
// spec's size, perhaps mirrored, a little brighter or darker. Hues stay: colours are what captions
// tell. `draws` [n][kPictureDraws], uniform in [0, 1), decide.
inline constexpr std::int64_t kPictureDraws = 6;
torch::Tensor Varied(const torch::Tensor& bytes, const torch::Tensor& draws,
                     const models::ClipSpec& spec);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_PICTURES_H_
