// What a photo library knows, in one SQLite file: which photos there are, and their vectors.
//
// What a file contains has its vector once, however many copies of it there are and wherever they
// lie; so a photo that moved is not encoded again. Changes come in transactions: whatever ends the
// process, the last one that was committed is there.
#ifndef ONDINE_SRC_IMAGES_PHOTO_DATABASE_H_
#define ONDINE_SRC_IMAGES_PHOTO_DATABASE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "images/content_hash.h"
#include "images/photo_encoder.h"
#include "images/sqlite.h"
#include "ondine/images.h"
#include "ondine/result.h"

namespace ondine::images {

using ContentId = std::int64_t;

// A file as it was when it was indexed. `problem` says why it has no vector; empty where it has
// one.
struct KnownFile {
  std::string path;
  std::int64_t size = 0, modified = 0;
  ContentId content = 0;
  std::string problem;
};

struct KnownContent {
  ContentHash hash{};
  ContentId id = 0;
  std::string problem;
};

// One thread at a time. Errors of all: kCorrupt (damaged, or no photo library), kIo (read-only, in
// use, or no room left on the disk).
class PhotoDatabase {
 public:
  // To read. Also kNotFound, kUnsupported (another program's, or a later version's).
  static Result<PhotoDatabase> Open(const std::string& path);
  // To write; makes it where there is none. Also kMismatch (vectors of another encoder) and kIo
  // while somebody else has it open to write.
  static Result<PhotoDatabase> OpenToIndex(const std::string& path, const EncoderIdentity& encoder);

  const std::string& path() const { return connection_.path(); }
  const EncoderIdentity& encoder() const { return encoder_; }
  // No other database has it, and whatever changes the photos gives it another generation.
  struct Version {
    std::string identity;
    std::int64_t generation = 0;
    bool operator==(const Version&) const = default;
  };
  Result<Version> ReadVersion() const;

  Result<std::vector<KnownFile>> FilesBelow(const std::string& folder) const;  // by path
  Result<std::vector<KnownContent>> Contents() const;
  Result<std::int64_t> CountVectors() const;
  // Every vector, ascending by id. Stops at an error of `take`, which it returns.
  Status ReadVectors(const std::function<Status(ContentId, std::span<const float>)>& take) const;
  // Ascending.
  Result<std::vector<ContentId>> Find(const PhotoFilter& filter) const;
  // The files with this content that pass the filter, by path.
  Result<std::vector<Photo>> PhotosWith(ContentId content, const PhotoFilter& filter) const;

  // All that `read` reads is of one state of the database.
  Status ReadTogether(const std::function<Status()>& read) const;

  // The rest is for writing, between Begin() and Commit().
  Status Begin();
  Status Commit();
  Result<std::optional<KnownContent>> FindContent(const ContentHash& hash);
  Result<ContentId> AddPicture(const ContentHash& hash, const Picture& picture,
                               std::span<const float> vector);
  Result<ContentId> AddProblem(const ContentHash& hash, const std::string& problem);
  Status SetFile(const std::string& path, std::int64_t size, std::int64_t modified,
                 ContentId content);
  Status RemoveFile(const std::string& path);
  Status RemoveUnusedContents();
  // Leaves one file that can be read where nothing can be written, if nobody else reads it now. So
  // does the destructor, which forgets what was not committed, and cannot tell of errors.
  Status Close();

 private:
  struct Lock;
  struct Writing;

  PhotoDatabase();

 public:
  PhotoDatabase(PhotoDatabase&&) noexcept;
  PhotoDatabase& operator=(PhotoDatabase&&) noexcept;
  ~PhotoDatabase();

 private:
  Status ReadHead();
  Status Create(const EncoderIdentity& encoder);

  std::unique_ptr<Lock> lock_;
  SqliteConnection connection_;
  std::unique_ptr<Writing> writing_;
  EncoderIdentity encoder_;
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PHOTO_DATABASE_H_
