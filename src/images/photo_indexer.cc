#include "images/photo_indexer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/guarded.h"
#include "base/stopwatch.h"
#include "base/try.h"
#include "compute/thread_count.h"
#include "images/photo_database.h"
#include "images/photo_reader.h"
#include "images/photo_scan.h"
#include "images/vector_index.h"

namespace ondine::images {
namespace {

// Enough for the encoder to work at full speed, few enough to fit into a cache.
constexpr std::size_t kBatch = 32;
constexpr std::size_t kReadAhead = 2 * kBatch;
// What a crash costs at most. A commit takes milliseconds.
constexpr double kSecondsPerCommit = 2;
constexpr double kSecondsPerReport = 0.1;

struct HashOfHash {
  std::size_t operator()(const ContentHash& hash) const {
    std::size_t value;
    std::memcpy(&value, hash.data(), sizeof(value));
    return value;
  }
};

bool IsIn(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

class Indexer {
 public:
  Indexer(PhotoDatabase& database, PhotoScan scan, PhotoEncoder& encoder,
          const IndexOptions& options)
      : database_(database), scan_(std::move(scan)), encoder_(encoder), options_(options) {}

  Result<IndexReport> Run() {
    ONDINE_TRY(Compare());
    ONDINE_TRY(database_.Begin());
    const Status status = ReadFiles();
    // Whatever stopped it, what has been done is kept.
    const Status committed = database_.Commit();
    ONDINE_TRY(status);
    ONDINE_TRY(committed);
    ONDINE_TRY(database_.Begin());
    ONDINE_TRY(Forget());
    ONDINE_TRY(database_.Commit());
    report_.unreadable_folders = std::move(scan_.unreadable);
    report_.seconds = timer_.Elapsed();
    return std::move(report_);
  }

 private:
  // What is to be read, and what is gone.
  Status Compare() {
    ONDINE_ASSIGN(const std::vector<KnownFile> known, database_.FilesBelow(scan_.folder));
    auto next = known.begin();
    for (PhotoFile& file : scan_.files) {
      for (; next != known.end() && next->path < file.path; ++next) NoteGone(*next);
      const bool is_known = next != known.end() && next->path == file.path;
      if (is_known && next->size == file.size && next->modified == file.modified) {
        if (next->problem.empty()) {
          ++report_.unchanged;
        } else {
          report_.broken.push_back({ErrorCode::kCorrupt, next->problem, file.path});
        }
      } else {
        if (is_known) content_before_[file.path] = next->content;
        to_read_.push_back(std::move(file));
      }
      if (is_known) ++next;
    }
    for (; next != known.end(); ++next) NoteGone(*next);
    total_ = static_cast<std::int64_t>(scan_.files.size());
    scan_.files = {};

    ONDINE_ASSIGN(const std::vector<KnownContent> contents, database_.Contents());
    for (const KnownContent& content : contents) known_contents_.insert(content.hash);
    return {};
  }

  void NoteGone(const KnownFile& file) {
    const bool is_hidden = std::ranges::any_of(
        scan_.unreadable, [&](const Error& folder) { return IsIn(file.path, folder.context); });
    if (is_hidden) return;
    gone_.push_back(file.path);
    ++gone_contents_[file.content];
  }

  Status ReadFiles() {
    PhotoReader reader(
        to_read_, encoder_.form(),
        [this](const ContentHash& hash) { return known_contents_.contains(hash); },
        compute::ThreadCount(options_.threads), kReadAhead);
    base::Timer since_commit;
    for (const PhotoFile& file : to_read_) {
      if (options_.stop.Stopped()) {
        return MakeError(ErrorCode::kCancelled, "stopped; run it again to go on", scan_.folder);
      }
      ONDINE_TRY(Take(file, reader.Next()));
      if (since_commit.Elapsed() > kSecondsPerCommit) {
        ONDINE_TRY(database_.Commit());
        ONDINE_TRY(database_.Begin());
        since_commit = {};
      }
      Report(false);
    }
    ONDINE_TRY(EncodeBatch());
    Report(true);
    return {};
  }

  Status Take(const PhotoFile& file, Result<ReadPhoto> photo) {
    ++read_;
    if (!photo) {
      report_.broken.push_back(std::move(photo).error());
      // It may lie there with a content that the library knows; what it has now, nobody knows.
      return content_before_.contains(file.path) ? database_.RemoveFile(file.path) : Status();
    }
    if (photo->picture && *photo->picture) {
      batch_files_.push_back({&file, photo->hash});
      batch_.push_back(std::move(**photo->picture));
      return batch_.size() < kBatch ? Status() : EncodeBatch();
    }
    ONDINE_ASSIGN(const auto content, database_.FindContent(photo->hash));
    if (content) return Link(file, *content);
    if (!photo->picture) {
      return MakeError(ErrorCode::kCorrupt,
                       "the photo library is damaged: delete it and index the photos again",
                       database_.path());
    }
    const Error& error = photo->picture->error();
    ONDINE_ASSIGN(const ContentId id, database_.AddProblem(photo->hash, error.message));
    return Link(file, {photo->hash, id, error.message});
  }

  Status EncodeBatch() {
    if (batch_.empty()) return {};
    const auto length = static_cast<std::size_t>(database_.encoder().length);
    std::vector<float> vectors(batch_.size() * length);
    ONDINE_TRY(encoder_.Encode(batch_, vectors.data()));
    if (!std::ranges::all_of(vectors, [](float value) { return std::isfinite(value); })) {
      return MakeError(ErrorCode::kInternal, "the CLIP made a vector that is no number",
                       batch_files_.front().file->path);
    }
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      const auto& [file, hash] = batch_files_[i];
      // Two copies may have been read before either was known.
      ONDINE_ASSIGN(auto content, database_.FindContent(hash));
      if (content) {
        ONDINE_TRY(Link(*file, *content));
        continue;
      }
      ONDINE_ASSIGN(
          const ContentId id,
          database_.AddPicture(hash, batch_[i], std::span(vectors).subspan(i * length, length)));
      ONDINE_TRY(database_.SetFile(file->path, file->size, file->modified, id));
      ++(content_before_.contains(file->path) ? report_.changed : report_.added);
    }
    batch_.clear();
    batch_files_.clear();
    return {};
  }

  // The file to a content that is known.
  Status Link(const PhotoFile& file, const KnownContent& content) {
    ONDINE_TRY(database_.SetFile(file.path, file.size, file.modified, content.id));
    if (!content.problem.empty()) {
      report_.broken.push_back({ErrorCode::kCorrupt, content.problem, file.path});
      return {};
    }
    const auto before = content_before_.find(file.path);
    const auto gone = gone_contents_.find(content.id);
    if (before != content_before_.end()) {
      ++(before->second == content.id ? report_.unchanged : report_.changed);
    } else if (gone != gone_contents_.end() && gone->second > 0) {
      --gone->second;
      ++report_.moved;
    } else {
      ++report_.copied;
    }
    return {};
  }

  Status Forget() {
    for (const std::string& path : gone_) ONDINE_TRY(database_.RemoveFile(path));
    report_.removed = static_cast<std::int64_t>(gone_.size()) - report_.moved;
    return database_.RemoveUnusedContents();
  }

  void Report(bool last) {
    if (!options_.progress || (!last && since_report_.Elapsed() < kSecondsPerReport)) return;
    since_report_ = {};
    IndexProgress progress;
    const auto left = static_cast<std::int64_t>(to_read_.size()) - read_;
    progress.total = total_;
    progress.done = total_ - left;
    progress.photos_per_second = static_cast<double>(read_) / std::max(timer_.Elapsed(), 1e-6);
    if (read_ > 0) progress.seconds_left = static_cast<double>(left) / progress.photos_per_second;
    options_.progress(progress);
  }

  struct Waiting {
    const PhotoFile* file;
    ContentHash hash;
  };

  PhotoDatabase& database_;
  PhotoScan scan_;
  PhotoEncoder& encoder_;
  const IndexOptions& options_;
  base::Timer timer_, since_report_;
  IndexReport report_;

  std::int64_t total_ = 0, read_ = 0;  // photos
  std::vector<PhotoFile> to_read_;
  std::unordered_map<std::string, ContentId> content_before_;  // of changed files
  std::unordered_set<ContentHash, HashOfHash> known_contents_;
  std::vector<std::string> gone_;
  std::unordered_map<ContentId, std::int64_t> gone_contents_;  // how often each is gone
  std::vector<Picture> batch_;
  std::vector<Waiting> batch_files_;
};

Result<IndexReport> Index(const std::string& library, const std::string& folder,
                          PhotoEncoder& encoder, const IndexOptions& options) {
  ONDINE_TRY(CheckPictureReader());
  ONDINE_ASSIGN(PhotoScan scan, ScanPhotos(folder, options.stop));
  if (scan.files.empty()) {
    return MakeError(ErrorCode::kNotFound,
                     "there is no photo in this folder; if there were some that are gone for good, "
                     "`images forget` takes them out of a library",
                     folder);
  }
  ONDINE_ASSIGN(PhotoDatabase database, PhotoDatabase::OpenToIndex(library, encoder.identity()));
  ONDINE_ASSIGN(IndexReport report, Indexer(database, std::move(scan), encoder, options).Run());
  ONDINE_TRY(database.Close());
  // So that the first search need not make it.
  ONDINE_TRY(VectorIndex::Open(database, compute::ThreadCount(options.threads)));
  return report;
}

}  // namespace

Result<IndexReport> IndexPhotos(const std::string& library, const std::string& folder,
                                PhotoEncoder& encoder, const IndexOptions& options) {
  return base::Guarded([&] { return Index(library, folder, encoder, options); },
                       "there is not enough memory to index it", folder);
}

}  // namespace ondine::images
