#include "serve/sent_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

namespace ondine::serve {
namespace {

std::string Now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

// Where an earlier entry did not fit on the disk.
bool EndsHalfway(int file) {
  const off_t size = file < 0 ? 0 : lseek(file, 0, SEEK_END);
  char last = '\n';
  return size > 0 && pread(file, &last, 1, size - 1) == 1 && last != '\n';
}

}  // namespace

Status SentLog::Note(std::string_view event, std::string_view server, std::string_view key,
                     std::string_view value) const {
  if (path_.empty()) return {};
  const nlohmann::ordered_json entry = {
      {"time", Now()}, {"event", event}, {"server", server}, {std::string(key), value}};
  const std::string text =
      entry.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  const int file = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = (EndsHalfway(file) ? "\n" : "") + text + "\n";
  // One write of a line that is appended does not mix with those of other programs.
  int problem = 0;
  const ssize_t written = file < 0 ? -1 : write(file, line.data(), line.size());
  const bool whole = written == static_cast<ssize_t>(line.size());
  if (written >= 0 && !whole) {
    problem = ENOSPC;  // what a write that stops halfway means
  } else if (!whole || (fsync(file) != 0 && errno != EINVAL && errno != EROFS)) {
    problem = errno;  // a pipe or terminal cannot be synced, and need not be
  }
  if (file >= 0) close(file);
  if (problem == 0) return {};
  return MakeError(problem == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                   std::string("cannot be written: ") + std::strerror(problem), path_);
}

}  // namespace ondine::serve
