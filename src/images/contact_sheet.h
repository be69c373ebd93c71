// Photos that were found, as one HTML file that needs nothing else.
#ifndef ONDINE_SRC_IMAGES_CONTACT_SHEET_H_
#define ONDINE_SRC_IMAGES_CONTACT_SHEET_H_

#include <span>
#include <string>

#include "images/library.h"
#include "ondine/result.h"

namespace ondine::images {

// Thumbnails with name and score under `title`, in the order given; a photo that can no longer be
// read has its error in place of the thumbnail. Errors: those of WriteFileAtomically.
Status WriteContactSheet(const std::string& path, const std::string& title,
                         std::span<const FoundPhoto> photos);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CONTACT_SHEET_H_
