#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "images/clip_parts.h"
#include "images/photo_database.h"
#include "images/photo_indexer.h"
#include "images/vector_index.h"
#include "ondine/images.h"

namespace ondine {
namespace {

constexpr std::string_view kNoMemory = "there is not enough memory for the library";

// As the scan of a folder writes it.
std::string AbsoluteFolder(const std::string& folder) {
  namespace fs = std::filesystem;
  if (folder.empty()) return folder;
  std::error_code error;
  fs::path path = fs::absolute(folder, error);
  if (error) return folder;
  const fs::path canonical = fs::weakly_canonical(path, error);
  // Of what cannot be looked at, as on a disk that is gone, the name alone is known.
  path = error ? path.lexically_normal() : canonical;
  // "a/" has an empty name in it.
  return (path.has_filename() || path == path.root_path() ? path : path.parent_path()).string();
}

}  // namespace

struct PhotoLibrary::Parts {
  // `query` has the right length.
  Result<std::vector<FoundPhoto>> Search(std::span<const float> query,
                                         const SearchOptions& options) const;

  images::PhotoDatabase database;
  images::VectorIndex index;
};

PhotoLibrary::PhotoLibrary(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PhotoLibrary::~PhotoLibrary() = default;

Result<std::unique_ptr<PhotoLibrary>> PhotoLibrary::Open(const std::string& path, int threads) {
  const auto open = [&]() -> Result<std::unique_ptr<PhotoLibrary>> {
    ONDINE_ASSIGN(images::PhotoDatabase database, images::PhotoDatabase::Open(path));
    ONDINE_ASSIGN(images::VectorIndex index,
                  images::VectorIndex::Open(database, compute::ThreadCount(threads)));
    return std::unique_ptr<PhotoLibrary>(
        new PhotoLibrary(std::make_unique<Parts>(Parts{std::move(database), std::move(index)})));
  };
  return base::Guarded(open, kNoMemory, path);
}

Status PhotoLibrary::CheckMadeBy(Clip& clip) const {
  const images::EncoderIdentity& made = parts_->database.encoder();
  const images::EncoderIdentity given = clip.parts().identity();
  if (made.fingerprint == given.fingerprint) return {};
  return MakeError(ErrorCode::kMismatch,
                   "its vectors are of another CLIP, " + images::NameOf(made) + "; this one is " +
                       images::NameOf(given),
                   parts_->database.path());
}

Result<std::vector<FoundPhoto>> PhotoLibrary::Search(std::span<const float> query,
                                                     const SearchOptions& options) const {
  if (query.size() != parts_->index.length()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a query of " + std::to_string(query.size()) + " numbers among vectors of " +
                         std::to_string(parts_->index.length()),
                     parts_->database.path());
  }
  return base::Guarded([&] { return parts_->Search(query, options); }, kNoMemory,
                       parts_->database.path());
}

Result<std::vector<FoundPhoto>> PhotoLibrary::Parts::Search(std::span<const float> query,
                                                            const SearchOptions& options) const {
  PhotoFilter filter = options.filter;
  filter.folder = AbsoluteFolder(filter.folder);
  std::optional<std::vector<images::ContentId>> allowed;
  if (!filter.empty()) {
    ONDINE_ASSIGN(allowed, database.Find(filter));
  }
  std::vector<FoundPhoto> found;
  for (const images::VectorIndex::Hit& hit : index.Search(query, options.top, allowed)) {
    if (hit.score < options.min_score) break;
    ONDINE_ASSIGN(std::vector<Photo> photos, database.PhotosWith(hit.id, filter));
    for (Photo& photo : photos) found.push_back({std::move(photo), hit.score});
  }
  std::ranges::sort(found, [](const FoundPhoto& a, const FoundPhoto& b) {
    return std::tie(b.score, a.photo.path) < std::tie(a.score, b.photo.path);
  });
  if (found.size() > options.top) found.resize(options.top);
  return found;
}

Result<IndexReport> IndexPhotos(const std::string& library, const std::string& folder, Clip& clip,
                                const IndexOptions& options) {
  return images::IndexPhotos(library, folder, clip.parts(), options);
}

Result<std::int64_t> ForgetPhotos(const std::string& library, const std::string& folder) {
  // Else a variable that a script left empty would be all folders there are.
  if (folder.empty()) return MakeError(ErrorCode::kInvalidArgument, "name the folder to forget");
  const auto forget = [&]() -> Result<std::int64_t> {
    images::EncoderIdentity encoder;
    {
      ONDINE_ASSIGN(const images::PhotoDatabase known, images::PhotoDatabase::Open(library));
      encoder = known.encoder();
    }
    ONDINE_ASSIGN(images::PhotoDatabase database,
                  images::PhotoDatabase::OpenToIndex(library, encoder));
    ONDINE_ASSIGN(const auto files, database.FilesBelow(AbsoluteFolder(folder)));
    ONDINE_TRY(database.Begin());
    for (const images::KnownFile& file : files) ONDINE_TRY(database.RemoveFile(file.path));
    ONDINE_TRY(database.RemoveUnusedContents());
    ONDINE_TRY(database.Commit());
    ONDINE_TRY(database.Close());
    return std::ssize(files);
  };
  return base::Guarded(forget, kNoMemory, library);
}

}  // namespace ondine
