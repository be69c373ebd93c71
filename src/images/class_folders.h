// Examples of classes as users keep them: a folder of photos for each.
#ifndef ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_
#define ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_

#include <string>
#include <vector>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::images {

struct ClassFolder {
  std::string name;                 // of the folder
  std::vector<std::string> photos;  // all below it, ascending
};

// The folders in `folder` that have photos, ascending by name; photos beside them are in no class.
// Errors: as ScanPhotos().
Result<std::vector<ClassFolder>> FindClassFolders(const std::string& folder, const StopToken& stop);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_
