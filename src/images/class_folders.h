// Examples of classes as users keep them: a folder of photos for each, and texts in a file.
#ifndef ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_
#define ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_

#include <map>
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

// A JSON object with a text for each class: {"shoe": "a photo of a shoe, with laces and a sole"}.
// In place of a text may stand a list of descriptions, which follow "a photo of a NAME, ". Errors:
// kNotFound, kIo, kCorrupt.
Result<std::map<std::string, std::string>> ReadClassTexts(const std::string& path);

// "a photo of a NAME", with spaces for underscores.
std::string PlainClassText(const std::string& name);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_
