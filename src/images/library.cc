#include "images/library.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/try.h"

namespace ondine::images {
namespace {

// As the scan of a folder writes it.
std::string AbsoluteFolder(const std::string& folder) {
  namespace fs = std::filesystem;
  if (folder.empty()) return folder;
  std::error_code error;
  fs::path path = fs::absolute(folder, error);
  if (!error) path = fs::weakly_canonical(path, error);
  // "a/" has an empty name in it.
  return (path.has_filename() || path == path.root_path() ? path : path.parent_path()).string();
}

}  // namespace

Result<PhotoLibrary> PhotoLibrary::Open(const std::string& path, int threads) {
  ONDINE_ASSIGN(PhotoDatabase database, PhotoDatabase::Open(path));
  ONDINE_ASSIGN(VectorIndex index, VectorIndex::Open(database, threads));
  return PhotoLibrary(std::move(database), std::move(index));
}

Result<std::vector<FoundPhoto>> PhotoLibrary::Search(std::span<const float> query,
                                                     const SearchOptions& options) const {
  if (query.size() != index_.length()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a query of " + std::to_string(query.size()) + " numbers among vectors of " +
                         std::to_string(index_.length()),
                     database_.path());
  }
  PhotoFilter filter = options.filter;
  filter.folder = AbsoluteFolder(filter.folder);
  std::optional<std::vector<ContentId>> allowed;
  if (!filter.empty()) {
    ONDINE_ASSIGN(allowed, database_.Find(filter));
  }
  std::vector<FoundPhoto> found;
  for (const VectorIndex::Hit& hit : index_.Search(query, options.top, allowed)) {
    if (hit.score < options.min_score) break;
    ONDINE_ASSIGN(std::vector<Photo> photos, database_.PhotosWith(hit.id, filter));
    for (Photo& photo : photos) found.push_back({std::move(photo), hit.score});
  }
  std::ranges::sort(found, [](const FoundPhoto& a, const FoundPhoto& b) {
    return std::tie(b.score, a.photo.path) < std::tie(a.score, b.photo.path);
  });
  if (found.size() > options.top) found.resize(options.top);
  return found;
}

}  // namespace ondine::images
