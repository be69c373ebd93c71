// Brings a photo library up to date with a folder.
#ifndef ONDINE_SRC_IMAGES_PHOTO_INDEXER_H_
#define ONDINE_SRC_IMAGES_PHOTO_INDEXER_H_

#include <string>

#include "images/photo_encoder.h"
#include "ondine/images.h"
#include "ondine/result.h"

namespace ondine::images {

// ondine::IndexPhotos() with any encoder.
Result<IndexReport> IndexPhotos(const std::string& library, const std::string& folder,
                                PhotoEncoder& encoder, const IndexOptions& options);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PHOTO_INDEXER_H_
