#include "images/class_folders.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/quote.h"
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
  for (auto& [name, paths] : photos) classes.push_back({name, std::move(paths)});
  return classes;
}

Result<std::map<std::string, std::string>> ReadClassTexts(const std::string& path) {
  ONDINE_ASSIGN(const std::string content, base::ReadFile(path));
  const auto file = nlohmann::json::parse(content, nullptr, false);
  if (!file.is_object()) return MakeError(ErrorCode::kCorrupt, "this is no JSON object", path);
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : file.items()) {
    const bool list = value.is_array() && std::ranges::all_of(value, [](const auto& description) {
                        return description.is_string();
                      });
    if (!list && !value.is_string()) {
      return MakeError(ErrorCode::kCorrupt,
                       base::Quote(name) + " has neither a text nor a list of texts", path);
    }
    if (!list) {
      texts[name] = value.template get<std::string>();
      continue;
    }
    std::string& text = texts[name] = PlainClassText(name);
    for (const auto& description : value) text += ", " + description.template get<std::string>();
  }
  return texts;
}

std::string PlainClassText(const std::string& name) {
  std::string text = "a photo of a " + name;
  std::ranges::replace(text, '_', ' ');
  return text;
}

}  // namespace ondine::images
