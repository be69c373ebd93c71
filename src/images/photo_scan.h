// Which files below a folder are called photos.
#ifndef ONDINE_SRC_IMAGES_PHOTO_SCAN_H_
#define ONDINE_SRC_IMAGES_PHOTO_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::images {

struct PhotoFile {
  std::string path;  // absolute
  std::int64_t size = 0;
  std::int64_t modified = 0;  // nanoseconds since 1970
};

struct PhotoScan {
  std::string folder;                // absolute, without links
  std::vector<PhotoFile> files;      // ascending by path, bytewise
  std::vector<std::string> folders;  // below it, in no order
  // Folders below it that could not be read, so that nothing is known of what is in them.
  std::vector<Error> unreadable;
};

// Regular files and links to them whose names end like those of pictures, in `folder` and all
// folders in it, but none whose name begins with a dot. Links to folders are not followed. Errors:
// kNotFound, kIo (`folder` itself cannot be read), kCancelled.
Result<PhotoScan> ScanPhotos(const std::string& folder, const StopToken& stop);

// kInvalidArgument where `output` is there and is called a photo: what is made of photos must not
// take the place of one.
Status CheckNoPhoto(const std::string& output);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PHOTO_SCAN_H_
