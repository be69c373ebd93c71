#include "images/class_folders.h"

#include <map>
#include <utility>

#include "base/try.h"
#include "images/photo_scan.h"

namespace ondine::images {

Result<std::vector<ClassFolder>> FindClassFolders(const std::string& folder,
                                                  const StopToken& stop) {
  ONDINE_ASSIGN(const PhotoScan scan, ScanPhotos(folder, stop));
  if (!scan.unreadable.empty()) return tl::make_unexpected(scan.unreadable.front());
  std::map<std::string, std::vector<std::string>> photos;
  for (const PhotoFile& file : scan.files) {
    const std::string below = file.path.substr(scan.folder.size() + 1);
    const std::size_t end = below.find('/');
    if (end != std::string::npos) photos[below.substr(0, end)].push_back(file.path);
  }
  std::vector<ClassFolder> classes;
  classes.reserve(photos.size());
  for (auto& [name, paths] : photos) classes.push_back({name, std::move(paths)});
  return classes;
}

}  // namespace ondine::images
