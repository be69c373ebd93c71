#include "base/input_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ondine::base {

InputFile::InputFile(InputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor_ > STDIN_FILENO) close(descriptor_);
}

Result<InputFile> InputFile::Open(const std::string& path) {
  if (path == "-") return InputFile(STDIN_FILENO, "standard input");
  // A named pipe that nobody writes to yet would be waited for here, deaf to any stop.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return MakeError(errno == ENOENT || errno == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
                     std::string("cannot be opened: ") + std::strerror(errno), path);
  }
  InputFile file(descriptor, path);
  struct stat status = {};
  if (fstat(descriptor, &status) != 0) {
    return MakeError(ErrorCode::kIo, std::strerror(errno), path);
  }
  if (S_ISDIR(status.st_mode)) {
    return MakeError(ErrorCode::kIo, "is a directory: name a file in it", path);
  }
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) {
    return MakeError(ErrorCode::kInvalidArgument, "is no regular file", path);
  }
  return file;
}

Result<std::size_t> InputFile::Read(std::span<std::byte> buffer, const StopToken& stop) {
  constexpr int kMilliseconds = 50;  // after which a stop is noticed
  pollfd waiting = {descriptor_, POLLIN, 0};
  while (true) {
    if (stop.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped", path_);
    const int ready = poll(&waiting, 1, kMilliseconds);
    // A signal may be what stops it.
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t got = read(descriptor_, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR && errno != EAGAIN) {
      return MakeError(ErrorCode::kIo, std::string("cannot be read: ") + std::strerror(errno),
                       path_);
    }
  }
}

}  // namespace ondine::base
