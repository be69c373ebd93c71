#include "images/photo_scan.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace ondine::images {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 10> kEndings = {".jpg",  ".jpeg", ".png",  ".webp", ".tif",
                                                       ".tiff", ".gif",  ".heic", ".heif", ".avif"};

bool IsCalledPhoto(const fs::path& name) {
  std::string ending = name.extension().string();
  for (char& c : ending) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

Error CannotRead(const std::error_code& error, const std::string& path) {
  return {error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory
              ? ErrorCode::kNotFound
              : ErrorCode::kIo,
          "cannot read the folder: " + error.message(), path};
}

// A link to nothing or in a circle, or a file that went away meanwhile.
bool MeansAbsent(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

}  // namespace

Result<PhotoScan> ScanPhotos(const std::string& folder, const StopToken& stop) {
  std::error_code error;
  PhotoScan scan;
  scan.folder = fs::canonical(folder, error).string();
  if (error) return tl::unexpected(CannotRead(error, folder));

  std::vector<std::string> folders = {scan.folder};
  while (!folders.empty()) {
    const std::string current = std::exchange(folders.back(), "");
    folders.pop_back();
    std::error_code hidden;  // why a photo of the folder could not be looked at
    fs::directory_iterator entry(current, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped", folder);
      const fs::path& path = entry->path();
      if (path.filename().native().starts_with('.')) continue;
      std::error_code ignored;  // a file that went away meanwhile is none
      if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) {
        folders.push_back(path.string());
        scan.folders.push_back(path.string());
      } else if (IsCalledPhoto(path)) {
        struct stat info;
        if (stat(path.c_str(), &info) != 0) {
          if (!MeansAbsent(errno)) hidden = std::error_code(errno, std::generic_category());
        } else if (S_ISREG(info.st_mode)) {
          scan.files.push_back(
              {path.string(), info.st_size,
               std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
        }
      }
    }
    if (error && current == scan.folder) return tl::unexpected(CannotRead(error, folder));
    if (!error) error = hidden;
    if (error) scan.unreadable.push_back(CannotRead(error, current));
  }
  std::ranges::sort(scan.files, {}, &PhotoFile::path);
  return scan;
}

Status CheckNoPhoto(const std::string& output) {
  std::error_code ignored;
  if (!IsCalledPhoto(output) || !fs::exists(output, ignored)) return {};
  return MakeError(ErrorCode::kInvalidArgument, "is a photo: write to another file", output);
}

}  // namespace ondine::images
