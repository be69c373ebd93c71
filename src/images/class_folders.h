// Examples of classes as users keep them: a folder of photos for each.
#ifndef ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_
#define ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "ondine/images.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::images {

struct ClassFolder {
  std::string name;                 // of the folder
  std::vector<std::string> photos;  // all below it, ascending; there may be none
};

// The folders in `folder`, ascending by name; photos beside them are in no class.
// Errors: as ScanPhotos().
Result<std::vector<ClassFolder>> FindClassFolders(const std::string& folder, const StopToken& stop);

// Photos that could be read, and their vectors.
struct EncodedPhotos {
  std::vector<std::string> paths;
  std::vector<std::vector<float>> vectors;
};

// Appends what cannot be read to `broken`. kCancelled.
Result<EncodedPhotos> EncodePhotos(Clip& clip, const std::vector<std::string>& paths,
                                   const StopToken& stop, std::vector<Error>& broken,
                                   const std::function<void(std::size_t done)>& progress);

struct FolderExamples {
  std::vector<ClassExamples> classes;
  std::vector<Error> broken;       // photos that could not be read
  std::vector<std::string> notes;  // what the user should know, a line each
};

// The examples in `folder` with the texts of the file `texts` (docs/formats/photo_classes.md), or,
// where it names none, PlainClassText(). Errors: kNotFound (no folders with photos), those of
// ParseClassTexts() with the file's name, kIo, kCancelled.
Result<FolderExamples> ReadExamples(
    Clip& clip, const std::string& folder, const std::string& texts, const StopToken& stop,
    const std::function<void(const std::string& name, std::size_t done)>& progress);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLASS_FOLDERS_H_
