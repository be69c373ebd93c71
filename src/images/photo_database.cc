#include "images/photo_database.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "images/vector_math.h"

namespace ondine::images {
namespace {

// "OnPh". SQLite keeps it at the beginning of the file for `file` and for us.
constexpr std::int64_t kApplication = 0x4F6E5068;
constexpr std::int64_t kVersion = 1;

constexpr const char* kSchema = R"(
  PRAGMA application_id = 1332629608;
  PRAGMA user_version = 1;
  CREATE TABLE library (
    identity BLOB NOT NULL,
    generation INTEGER NOT NULL,
    encoder_name TEXT NOT NULL,
    encoder_fingerprint TEXT NOT NULL,
    vector_length INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: an open library holds old ones
    hash BLOB NOT NULL UNIQUE,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    taken INTEGER,  -- seconds of a UTC clock
    problem TEXT    -- why there is no vector
  ) STRICT;
  -- A table of their own, so that whoever asks for something else need not read past them.
  CREATE TABLE vectors (
    content INTEGER PRIMARY KEY,
    vector BLOB NOT NULL  -- float32, little-endian
  ) STRICT;
  CREATE TABLE photos (
    path TEXT NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,  -- nanoseconds since 1970
    content INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX photos_by_content ON photos (content);
)";
static_assert(kApplication == 1332629608 && kVersion == 1);

// Of the square of a vector's length, which is 1.
constexpr double kMostNormError = 1e-2;

// The paths below a folder are those from `begin` to before `end`.
struct PathRange {
  std::string begin, end;
};

PathRange Below(std::string folder) {
  if (!folder.ends_with('/')) folder += '/';
  PathRange range{folder, folder};
  range.end.back() = '/' + 1;
  return range;
}

// Parameters 1 to 4 of every statement with a filter.
constexpr const char* kPasses =
    "(?1 = '' OR (path >= ?1 AND path < ?2)) AND (?3 IS NULL OR taken >= ?3) AND "
    "(?4 IS NULL OR taken < ?4)";

}  // namespace

// Two indexers of one library would only get into each other's way; readers need no lock. It is a
// file of its own, since closing the database's would take away SQLite's own locks.
struct PhotoDatabase::Lock {
  int fd = -1;
  std::string path;

  static Result<std::unique_ptr<Lock>> Take(const std::string& database) {
    auto lock = std::make_unique<Lock>();
    // Of the file, whatever name it goes by.
    std::error_code ignored;
    const auto file = std::filesystem::weakly_canonical(database, ignored);
    const std::string path = (ignored ? database : file.string()) + ".lock";
    while (true) {
      lock->fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
      if (lock->fd < 0) {
        return MakeError(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                         "cannot write beside it: " + std::generic_category().message(errno),
                         database);
      }
      if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        return MakeError(ErrorCode::kIo,
                         "another indexer is at work on this photo library: wait for its end",
                         database);
      }
      // Whoever had it may have removed the file between our two calls.
      struct stat ours, there;
      if (fstat(lock->fd, &ours) == 0 && stat(path.c_str(), &there) == 0 &&
          ours.st_ino == there.st_ino) {
        lock->path = path;
        return lock;
      }
      close(std::exchange(lock->fd, -1));
    }
  }
  Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (!path.empty()) unlink(path.c_str());
    if (fd >= 0) close(fd);
  }
};

struct PhotoDatabase::Writing {
  SqliteStatement find, add, add_vector, set_file, remove_file;
  std::int64_t changes = 0;  // before the transaction
};

PhotoDatabase::PhotoDatabase() = default;
PhotoDatabase::PhotoDatabase(PhotoDatabase&&) noexcept = default;
PhotoDatabase& PhotoDatabase::operator=(PhotoDatabase&&) noexcept = default;
PhotoDatabase::~PhotoDatabase() {
  if (writing_ != nullptr) {
    (void)connection_.Run("ROLLBACK");  // refused where nothing is to be forgotten
    (void)Close();
  }
  connection_ = {};  // before the lock
}

Status PhotoDatabase::ReadHead() {
  std::error_code ignored;
  if (std::filesystem::file_size(path(), ignored) == 0) {
    return MakeError(ErrorCode::kNotFound, "holds nothing yet: index a folder first", path());
  }
  ONDINE_ASSIGN(SqliteStatement application, connection_.Prepare("PRAGMA application_id"));
  ONDINE_TRY(application.Step());
  if (application.Number(0) != kApplication) {
    return MakeError(ErrorCode::kUnsupported, "is no photo library but another program's database",
                     path());
  }
  ONDINE_ASSIGN(SqliteStatement version, connection_.Prepare("PRAGMA user_version"));
  ONDINE_TRY(version.Step());
  if (version.Number(0) != kVersion) {
    return MakeError(ErrorCode::kUnsupported,
                     "is a photo library of version " + std::to_string(version.Number(0)) +
                         "; this program knows version " + std::to_string(kVersion),
                     path());
  }
  ONDINE_ASSIGN(
      SqliteStatement row,
      connection_.Prepare("SELECT encoder_name, encoder_fingerprint, vector_length FROM library"));
  ONDINE_ASSIGN(const bool there, row.Step());
  if (!there || row.Number(2) < 1 || row.Number(2) > 1 << 20) {
    return MakeError(ErrorCode::kCorrupt, "does not say which CLIP made its vectors", path());
  }
  encoder_ = {std::string(row.Text(0)), std::string(row.Text(1)), static_cast<int>(row.Number(2))};
  return {};
}

Result<PhotoDatabase> PhotoDatabase::Open(const std::string& path) {
  PhotoDatabase database;
  ONDINE_ASSIGN(database.connection_, SqliteConnection::Open(path, SqliteConnection::Mode::kRead));
  ONDINE_TRY(database.ReadHead());
  return database;
}

Status PhotoDatabase::Create(const EncoderIdentity& encoder) {
  ONDINE_TRY(connection_.Run("BEGIN IMMEDIATE"));
  ONDINE_TRY(connection_.Run(kSchema));
  ONDINE_ASSIGN(SqliteStatement insert,
                connection_.Prepare("INSERT INTO library VALUES (randomblob(16), 0, ?1, ?2, ?3)"));
  insert.Bind(1, encoder.name).Bind(2, encoder.fingerprint).Bind(3, encoder.length);
  ONDINE_TRY(insert.Run());
  return connection_.Run("COMMIT");
}

Result<PhotoDatabase> PhotoDatabase::OpenToIndex(const std::string& path,
                                                 const EncoderIdentity& encoder) {
  PhotoDatabase database;
  ONDINE_ASSIGN(database.lock_, Lock::Take(path));
  ONDINE_ASSIGN(database.connection_,
                SqliteConnection::Open(path, SqliteConnection::Mode::kCreate));
  const SqliteConnection& connection = database.connection_;
  ONDINE_ASSIGN(SqliteStatement tables, connection.Prepare("SELECT count(*) FROM sqlite_schema"));
  ONDINE_TRY(tables.Step());
  const bool is_new = tables.Number(0) == 0;
  tables.Reset();
  if (is_new) ONDINE_TRY(database.Create(encoder));
  ONDINE_TRY(database.ReadHead());
  const EncoderIdentity& made = database.encoder_;
  if (made.fingerprint != encoder.fingerprint || made.length != encoder.length) {
    return MakeError(ErrorCode::kMismatch,
                     "its vectors were made by the CLIP " + NameOf(made) + " and not by " +
                         NameOf(encoder) + ": use that one, or another photo library",
                     path);
  }
  // Readers go on meanwhile, and a commit costs no waiting for the disk.
  ONDINE_TRY(connection.Run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"));
  ONDINE_ASSIGN(SqliteStatement find,
                connection.Prepare("SELECT id, problem FROM contents WHERE hash = ?1"));
  ONDINE_ASSIGN(SqliteStatement add,
                connection.Prepare("INSERT INTO contents (hash, width, height, taken, problem) "
                                   "VALUES (?1, ?2, ?3, ?4, ?5)"));
  ONDINE_ASSIGN(SqliteStatement add_vector,
                connection.Prepare("INSERT INTO vectors VALUES (?1, ?2)"));
  ONDINE_ASSIGN(SqliteStatement set_file,
                connection.Prepare("INSERT OR REPLACE INTO photos VALUES (?1, ?2, ?3, ?4)"));
  ONDINE_ASSIGN(SqliteStatement remove_file,
                connection.Prepare("DELETE FROM photos WHERE path = ?1"));
  database.writing_ =
      std::make_unique<Writing>(Writing{std::move(find), std::move(add), std::move(add_vector),
                                        std::move(set_file), std::move(remove_file)});
  return database;
}

Result<PhotoDatabase::Version> PhotoDatabase::ReadVersion() const {
  ONDINE_ASSIGN(SqliteStatement row,
                connection_.Prepare("SELECT hex(identity), generation FROM library"));
  ONDINE_TRY(row.Step());
  return Version{std::string(row.Text(0)), row.Number(1)};
}

Result<std::vector<KnownFile>> PhotoDatabase::FilesBelow(const std::string& folder) const {
  ONDINE_ASSIGN(SqliteStatement row,
                connection_.Prepare("SELECT path, size, modified, content, problem FROM photos "
                                    "JOIN contents ON contents.id = content "
                                    "WHERE path >= ?1 AND path < ?2 ORDER BY path"));
  const PathRange range = Below(folder);
  row.Bind(1, range.begin).Bind(2, range.end);
  std::vector<KnownFile> files;
  while (true) {
    ONDINE_ASSIGN(const bool more, row.Step());
    if (!more) return files;
    files.push_back({std::string(row.Text(0)), row.Number(1), row.Number(2), row.Number(3),
                     std::string(row.Text(4))});
  }
}

Result<std::vector<KnownContent>> PhotoDatabase::Contents() const {
  ONDINE_ASSIGN(SqliteStatement row, connection_.Prepare("SELECT hash, id, problem FROM contents"));
  std::vector<KnownContent> contents;
  while (true) {
    ONDINE_ASSIGN(const bool more, row.Step());
    if (!more) return contents;
    KnownContent& content = contents.emplace_back();
    const auto hash = row.Blob(0);
    if (hash.size() != content.hash.size()) {
      return MakeError(ErrorCode::kCorrupt, "holds a photo's hash of another length", path());
    }
    std::ranges::copy(hash, content.hash.begin());
    content.id = row.Number(1);
    content.problem = row.Text(2);
  }
}

Result<std::int64_t> PhotoDatabase::CountVectors() const {
  ONDINE_ASSIGN(SqliteStatement row, connection_.Prepare("SELECT count(*) FROM vectors"));
  ONDINE_TRY(row.Step());
  return row.Number(0);
}

Status PhotoDatabase::ReadVectors(
    const std::function<Status(ContentId, std::span<const float>)>& take) const {
  ONDINE_ASSIGN(SqliteStatement row,
                connection_.Prepare("SELECT content, vector FROM vectors ORDER BY content"));
  std::vector<float> vector(static_cast<std::size_t>(encoder_.length));
  while (true) {
    ONDINE_ASSIGN(const bool more, row.Step());
    if (!more) return {};
    const auto stored = row.Blob(1);
    if (stored.size() != vector.size() * sizeof(float)) {
      return MakeError(ErrorCode::kCorrupt,
                       "a vector has " + std::to_string(stored.size()) + " bytes instead of " +
                           std::to_string(vector.size() * sizeof(float)),
                       path());
    }
    std::memcpy(vector.data(), stored.data(), stored.size());
    // Damage; what is no number is found by nothing.
    if (!(std::fabs(Dot(vector, vector) - 1) < kMostNormError)) {
      std::ranges::fill(vector, std::numeric_limits<float>::quiet_NaN());
    }
    ONDINE_TRY(take(row.Number(0), vector));
  }
}

Result<std::vector<ContentId>> PhotoDatabase::Find(const PhotoFilter& filter) const {
  const PathRange range = filter.folder.empty() ? PathRange() : Below(filter.folder);
  ONDINE_ASSIGN(SqliteStatement row,
                connection_.Prepare("SELECT DISTINCT content FROM photos JOIN contents ON "
                                    "contents.id = content WHERE " +
                                    std::string(kPasses) + " ORDER BY content"));
  row.Bind(1, range.begin).Bind(2, range.end).Bind(3, filter.from).Bind(4, filter.to);
  std::vector<ContentId> ids;
  while (true) {
    ONDINE_ASSIGN(const bool more, row.Step());
    if (!more) return ids;
    ids.push_back(row.Number(0));
  }
}

Result<std::vector<Photo>> PhotoDatabase::PhotosWith(ContentId content,
                                                     const PhotoFilter& filter) const {
  const PathRange range = filter.folder.empty() ? PathRange() : Below(filter.folder);
  ONDINE_ASSIGN(SqliteStatement row,
                connection_.Prepare("SELECT path, size, width, height, taken FROM photos JOIN "
                                    "contents ON contents.id = content WHERE content = ?5 AND " +
                                    std::string(kPasses) + " ORDER BY path"));
  row.Bind(1, range.begin).Bind(2, range.end).Bind(3, filter.from).Bind(4, filter.to);
  row.Bind(5, content);
  std::vector<Photo> photos;
  while (true) {
    ONDINE_ASSIGN(const bool more, row.Step());
    if (!more) return photos;
    Photo& photo = photos.emplace_back();
    photo.path = row.Text(0);
    photo.bytes = row.Number(1);
    photo.width = static_cast<int>(row.Number(2));
    photo.height = static_cast<int>(row.Number(3));
    if (!row.IsNull(4)) photo.taken = row.Number(4);
  }
}

Status PhotoDatabase::ReadTogether(const std::function<Status()>& read) const {
  ONDINE_TRY(connection_.Run("BEGIN"));
  struct Ender {
    const SqliteConnection& connection;
    ~Ender() { (void)connection.Run("COMMIT"); }
  } const ender{connection_};
  return read();
}

Status PhotoDatabase::Begin() {
  ONDINE_TRY(connection_.Run("BEGIN IMMEDIATE"));
  writing_->changes = connection_.Changes();
  return {};
}

Status PhotoDatabase::Commit() {
  if (connection_.Changes() != writing_->changes) {
    ONDINE_TRY(connection_.Run("UPDATE library SET generation = random()"));
  }
  return connection_.Run("COMMIT");
}

Result<std::optional<KnownContent>> PhotoDatabase::FindContent(const ContentHash& hash) {
  SqliteStatement& find = writing_->find;
  const auto row = find.Bind(1, std::span<const std::byte>(hash)).Step();
  std::optional<KnownContent> content;
  if (row && *row) content = {hash, find.Number(0), std::string(find.Text(1))};
  find.Reset();
  ONDINE_TRY(row);
  return content;
}

Result<ContentId> PhotoDatabase::AddPicture(const ContentHash& hash, const Picture& picture,
                                            std::span<const float> vector) {
  SqliteStatement& add = writing_->add;
  add.Bind(1, std::span<const std::byte>(hash)).Bind(2, picture.width).Bind(3, picture.height);
  ONDINE_TRY(add.Bind(4, picture.taken).Run());
  const ContentId id = connection_.LastRowId();
  ONDINE_TRY(writing_->add_vector.Bind(1, id).Bind(2, std::as_bytes(vector)).Run());
  return id;
}

Result<ContentId> PhotoDatabase::AddProblem(const ContentHash& hash, const std::string& problem) {
  SqliteStatement& add = writing_->add;
  add.Bind(1, std::span<const std::byte>(hash)).Bind(2, 0).Bind(3, 0).Bind(5, problem);
  ONDINE_TRY(add.Run());
  return connection_.LastRowId();
}

Status PhotoDatabase::SetFile(const std::string& path, std::int64_t size, std::int64_t modified,
                              ContentId content) {
  return writing_->set_file.Bind(1, path).Bind(2, size).Bind(3, modified).Bind(4, content).Run();
}

Status PhotoDatabase::RemoveFile(const std::string& path) {
  return writing_->remove_file.Bind(1, path).Run();
}

Status PhotoDatabase::RemoveUnusedContents() {
  return connection_.Run(
      "DELETE FROM contents WHERE id NOT IN (SELECT content FROM photos);"
      "DELETE FROM vectors WHERE content NOT IN (SELECT id FROM contents)");
}

Status PhotoDatabase::Close() {
  writing_.reset();
  ONDINE_TRY(connection_.Run("PRAGMA wal_checkpoint(TRUNCATE)"));
  // Refused while somebody reads it, who may go on with the file as it is.
  (void)connection_.Run("PRAGMA journal_mode = DELETE");
  return {};
}

}  // namespace ondine::images
