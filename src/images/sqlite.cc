#include "images/sqlite.h"

#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/try.h"

namespace ondine::images {
namespace {

constexpr int kWaitMilliseconds = 10'000;  // for another's transaction, which takes far less

tl::unexpected<Error> SqliteError(sqlite3* connection, int result, const std::string& path) {
  switch (result & 0xFF) {
    case SQLITE_NOTADB: return MakeError(ErrorCode::kCorrupt, "is no photo library", path);
    case SQLITE_CORRUPT:
      return MakeError(ErrorCode::kCorrupt,
                       "the photo library is damaged: delete it and index the photos again", path);
    case SQLITE_FULL:
      return MakeError(ErrorCode::kIo,
                       "no room is left on the disk: free some and run it again; what was done "
                       "before is kept",
                       path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return MakeError(ErrorCode::kIo, "cannot be written: it or its folder is read-only", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return MakeError(ErrorCode::kIo, "another program is writing to it: try again later", path);
    case SQLITE_ERROR:  // a table or a column is not there
      return MakeError(
          ErrorCode::kCorrupt,
          std::string("is no photo library that this version knows: ") + sqlite3_errmsg(connection),
          path);
    case SQLITE_NOMEM: return MakeError(ErrorCode::kOutOfMemory, "no memory is left", path);
    default:
      return MakeError(ErrorCode::kIo,
                       std::string("SQLite: ") + (connection != nullptr ? sqlite3_errmsg(connection)
                                                                        : sqlite3_errstr(result)),
                       path);
  }
}

// True of a library that was left in the mode of a write-ahead log, without one, in a folder where
// nobody may put the file that SQLite wants beside it: it can only be read as a whole.
bool NeedsNoShared(const std::string& file) {
  std::error_code ignored;
  const std::string folder = std::filesystem::path(file).parent_path().string();
  if (access(folder.c_str(), W_OK) == 0 || std::filesystem::exists(file + "-wal", ignored)) {
    return false;
  }
  // Versions of the file's format for reading and writing: 2 is the log.
  constexpr std::streamoff kVersions = 18;
  std::array<char, 2> versions = {};
  std::ifstream(file, std::ios::binary).seekg(kVersions).read(versions.data(), versions.size());
  return versions[1] == 2;
}

std::string ImmutableUri(const std::string& file) {
  std::string uri = "file:";
  for (const char c : file) {
    if (c == '%' || c == '?' || c == '#') {
      constexpr char kDigits[] = "0123456789ABCDEF";
      uri += {'%', kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 15]};
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteStatement::SqliteStatement(sqlite3_stmt* statement, const std::string& path)
    : statement_(statement), path_(path) {}

// A parameter that cannot be bound, for want of memory, shows as NULL, which the tables refuse.
SqliteStatement& SqliteStatement::Bind(int parameter, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), parameter, value);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int parameter, const std::optional<std::int64_t>& value) {
  if (value) return Bind(parameter, *value);
  sqlite3_bind_null(statement_.get(), parameter);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(int parameter, std::span<const std::byte> blob) {
  sqlite3_bind_blob64(statement_.get(), parameter, blob.data(), blob.size(), SQLITE_STATIC);
  return *this;
}

Result<bool> SqliteStatement::Step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return SqliteError(sqlite3_db_handle(statement_.get()), result, path_);
}

Status SqliteStatement::Run() {
  Result<bool> row = true;
  while (row && *row) row = Step();
  Reset();
  ONDINE_TRY(row);
  return {};
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::int64_t SqliteStatement::Number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::span<const std::byte> SqliteStatement::Blob(int column) const {
  const auto* blob = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  if (blob == nullptr) return {};
  return {blob, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void SqliteConnection::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);  // with statements left it waits for them
}

Result<SqliteConnection> SqliteConnection::Open(const std::string& path, Mode mode) {
  if (path.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "the photo library has no name");
  }
  std::error_code ignored;
  const bool exists = std::filesystem::exists(path, ignored);
  if (!exists && mode == Mode::kRead) {
    return MakeError(ErrorCode::kNotFound, "there is no such photo library: index a folder first",
                     path);
  }
  if (std::filesystem::is_directory(path, ignored)) {
    return MakeError(ErrorCode::kIo, "is a directory: name a file in it", path);
  }
  // What a writer that was killed has left undone is undone by whoever may write; the journal's
  // being there alone does not mean that there is something.
  if (mode == Mode::kRead && std::filesystem::exists(path + "-journal", ignored)) {
    if (const auto writer = Open(path, Mode::kCreate)) {
      if (auto any = writer->Prepare("SELECT count(*) FROM sqlite_schema")) (void)any->Step();
    }
  }
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  flags |= mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  SqliteConnection connection;
  connection.path_ = path;
  sqlite3* opened = nullptr;
  // SQLite has other meanings for some names, such as ":memory:".
  std::string file = std::filesystem::absolute(path, ignored).string();
  if (mode == Mode::kRead && NeedsNoShared(file)) {
    file = ImmutableUri(file);
    flags |= SQLITE_OPEN_URI;
  }
  const int result = sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
  connection.connection_.reset(opened);
  if (result != SQLITE_OK) return SqliteError(opened, result, path);
  sqlite3_busy_timeout(opened, kWaitMilliseconds);
  // The file may come from anywhere: its schema runs nothing.
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  return connection;
}

Status SqliteConnection::Run(const char* statements) const {
  const int result = sqlite3_exec(connection_.get(), statements, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return SqliteError(connection_.get(), result, path_);
  return {};
}

Result<SqliteStatement> SqliteConnection::Prepare(std::string_view statement) const {
  sqlite3_stmt* prepared = nullptr;
  const int result = sqlite3_prepare_v2(connection_.get(), statement.data(),
                                        static_cast<int>(statement.size()), &prepared, nullptr);
  if (result != SQLITE_OK) return SqliteError(connection_.get(), result, path_);
  return SqliteStatement(prepared, path_);
}

std::int64_t SqliteConnection::LastRowId() const {
  return sqlite3_last_insert_rowid(connection_.get());
}

std::int64_t SqliteConnection::Changes() const {
  return sqlite3_total_changes64(connection_.get());
}

}  // namespace ondine::images
