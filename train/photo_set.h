// Decoded photos, in memory at once.
#ifndef ONDINE_TRAIN_PHOTO_SET_H_
#define ONDINE_TRAIN_PHOTO_SET_H_

#include <cstdint>
#include <vector>

#include "ondine/progress.h"
#include "ondine/result.h"
#include "train/fashion_data.h"

namespace ondine::train {

struct PhotoSet {
  std::vector<FashionItem> items;
  int size = 0;                      // pixels a side
  std::vector<std::uint8_t> pixels;  // [items][size][size][3]
};

// Both sides of a photo get the size. Errors: those of images::DecodePicture, kCancelled.
Result<PhotoSet> DecodePhotos(std::vector<FashionItem> items, int size, int threads,
                              const StopToken& stop_token);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_PHOTO_SET_H_
