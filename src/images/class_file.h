// JSON files about classes of photos: docs/formats/photo_classes.md.
#ifndef ONDINE_SRC_IMAGES_CLASS_FILE_H_
#define ONDINE_SRC_IMAGES_CLASS_FILE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ondine/images.h"
#include "ondine/result.h"

namespace ondine::images {

struct ClassFile {
  std::string clip_name, clip_fingerprint;  // that its strengths were learned with; may be empty
  std::vector<PhotoClass> classes;          // one or more
};

// Errors: kCorrupt, kUnsupported (another version).
Result<ClassFile> ParseClassFile(std::string_view json);
std::string FormatClassFile(const ClassFile& file);

// A JSON object with a text for each class: {"shoe": "a photo of a shoe, with laces and a sole"}.
// In place of a text may stand a list of descriptions, which follow "a photo of a NAME, ".
// kCorrupt.
Result<std::map<std::string, std::string>> ParseClassTexts(std::string_view json);

// "a photo of a NAME", with spaces for underscores.
std::string PlainClassText(const std::string& name);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CLASS_FILE_H_
