// SQLite with this library's errors: a connection and its statements.
#ifndef ONDINE_SRC_IMAGES_SQLITE_H_
#define ONDINE_SRC_IMAGES_SQLITE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ondine/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ondine::images {

// A prepared statement; must go before its connection. Parameters are numbered from 1, columns from
// 0. What Text() and Blob() return lasts until the next Step() or Reset().
class SqliteStatement {
 public:
  SqliteStatement(sqlite3_stmt* statement, const std::string& path);

  SqliteStatement& Bind(int parameter, std::int64_t value);
  SqliteStatement& Bind(int parameter, const std::optional<std::int64_t>& value);
  // The bytes must last until the statement is reset.
  SqliteStatement& Bind(int parameter, std::string_view text);
  SqliteStatement& Bind(int parameter, std::span<const std::byte> blob);

  // Whether there is a row.
  Result<bool> Step();
  // Steps to the end and makes ready for other parameters.
  Status Run();
  void Reset();

  bool IsNull(int column) const;
  std::int64_t Number(int column) const;
  std::string_view Text(int column) const;
  std::span<const std::byte> Blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string path_;
};

class SqliteConnection {
 public:
  enum class Mode { kRead, kCreate };
  // Errors: kNotFound, kIo; whether it is a database at all shows at the first statement.
  static Result<SqliteConnection> Open(const std::string& path, Mode mode);

  // One or more statements without parameters and results.
  Status Run(const char* statements) const;
  Result<SqliteStatement> Prepare(std::string_view statement) const;
  std::int64_t LastRowId() const;
  std::int64_t Changes() const;  // rows, since it was opened
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  std::unique_ptr<sqlite3, Close> connection_;
  std::string path_;
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_SQLITE_H_
