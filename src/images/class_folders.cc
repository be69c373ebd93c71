#include "images/class_folders.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/file.h"
#include "base/quote.h"
#include "base/try.h"
#include "images/class_file.h"
#include "images/photo_scan.h"

namespace ondine::images {

Result<std::vector<ClassFolder>> FindClassFolders(const std::string& folder,
                                                  const StopToken& stop) {
  ONDINE_ASSIGN(const PhotoScan scan, ScanPhotos(folder, stop));
  if (!scan.unreadable.empty()) return tl::make_unexpected(scan.unreadable.front());
  const auto below = [&](const std::string& path) { return path.substr(scan.folder.size() + 1); };
  std::map<std::string, std::vector<std::string>> photos;
  for (const std::string& path : scan.folders) {
    if (below(path).find('/') == std::string::npos) photos[below(path)];
  }
  for (const PhotoFile& file : scan.files) {
    const std::string path = below(file.path);
    const std::size_t end = path.find('/');
    if (end != std::string::npos) photos[path.substr(0, end)].push_back(file.path);
  }
  std::vector<ClassFolder> classes;
  classes.reserve(photos.size());
  for (auto& [name, paths] : photos) classes.push_back({name, std::move(paths)});
  return classes;
}

Result<EncodedPhotos> EncodePhotos(Clip& clip, const std::vector<std::string>& paths,
                                   const StopToken& stop, std::vector<Error>& broken,
                                   const std::function<void(std::size_t)>& progress) {
  constexpr std::size_t kTogether = 64;
  EncodedPhotos photos;
  for (std::size_t first = 0; first < paths.size(); first += kTogether) {
    if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
    progress(first);
    const std::vector<std::string> part(
        paths.begin() + static_cast<std::ptrdiff_t>(first),
        paths.begin() + static_cast<std::ptrdiff_t>(std::min(paths.size(), first + kTogether)));
    std::vector<Result<std::vector<float>>> vectors = clip.EncodePictures(part);
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (!vectors[i]) {
        broken.push_back(vectors[i].error());
        continue;
      }
      photos.paths.push_back(part[i]);
      photos.vectors.push_back(std::move(*vectors[i]));
    }
  }
  return photos;
}

Result<FolderExamples> ReadExamples(
    Clip& clip, const std::string& folder, const std::string& texts, const StopToken& stop,
    const std::function<void(const std::string&, std::size_t)>& progress) {
  ONDINE_ASSIGN(const auto folders, FindClassFolders(folder, stop));
  const auto is_class = [](const ClassFolder& of_class) { return !of_class.photos.empty(); };
  if (std::ranges::none_of(folders, is_class)) {
    return MakeError(ErrorCode::kNotFound,
                     "there are no folders with photos in it, one for each class", folder);
  }
  std::map<std::string, std::string> text_of;
  if (!texts.empty()) {
    ONDINE_ASSIGN(const std::string content, base::ReadFile(texts));
    auto parsed = ParseClassTexts(content);
    if (!parsed) return MakeError(parsed.error().code, parsed.error().message, texts);
    text_of = std::move(*parsed);
  }
  FolderExamples examples;
  for (const ClassFolder& of_class : folders) {
    if (!is_class(of_class)) {
      examples.notes.push_back("the folder " + base::Quote(of_class.name) +
                               " has no photos and is left out");
      continue;
    }
    ONDINE_ASSIGN(EncodedPhotos photos,
                  EncodePhotos(clip, of_class.photos, stop, examples.broken,
                               [&](std::size_t done) { progress(of_class.name, done); }));
    if (photos.vectors.empty()) {
      const Error& first = examples.broken.back();
      return MakeError(first.code,
                       "no photo of the class " + base::Quote(of_class.name) +
                           " can be read; the last one of them: " + first.message,
                       first.context);
    }
    auto text = text_of.extract(of_class.name);
    examples.classes.push_back({of_class.name,
                                text ? std::move(text.mapped()) : PlainClassText(of_class.name),
                                std::move(photos.vectors)});
  }
  for (const auto& [name, text] : text_of) {
    examples.notes.push_back("there is a text for " + base::Quote(name) +
                             ", but no folder with photos of it");
  }
  return examples;
}

}  // namespace ondine::images
