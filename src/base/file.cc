#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/guarded.h"
#include "base/try.h"

namespace ondine::base {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;  // bytes per read() or buffered write()

std::string ErrnoText(int number) {
  return std::generic_category().message(number);
}

// The error of a system call that failed with `number` on `path`; `doing` as in "cannot read".
tl::unexpected<Error> SystemError(const std::string& doing, int number, const std::string& path) {
  const ErrorCode code = number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound
                         : number == ENOMEM                    ? ErrorCode::kOutOfMemory
                                                               : ErrorCode::kIo;
  return MakeError(code, "cannot " + doing + ": " + ErrnoText(number), path);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  // 0, or the errno of a close that lost data (NFS and quotas report it only here).
  int Close() {
    const int fd = std::exchange(fd_, -1);
    return fd >= 0 && close(fd) != 0 && errno != EINTR ? errno : 0;
  }

 private:
  int fd_;
};

int OpenRetrying(const char* path, int flags, mode_t mode = 0) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

Result<std::string> ReadAll(int fd, const std::string& path, std::size_t expected) {
  const auto read_all = [&]() -> Result<std::string> {
    std::string text;
    text.reserve(expected);
    std::size_t used = 0;
    while (true) {
      if (text.size() - used < kChunk / 16) text.resize(used + kChunk);
      const ssize_t n = read(fd, text.data() + used, text.size() - used);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return SystemError("read", errno, path);
      if (n == 0) break;
      used += static_cast<std::size_t>(n);
    }
    text.resize(used);
    return text;
  };
  return Guarded(read_all, "the file is larger than the memory there is", path);
}

// A new file under a name of its own, removed again unless it was renamed to its final one.
class TemporaryFile final : public FileSink {
 public:
  TemporaryFile(int fd, std::string name, const std::string& target)
      : fd_(fd), name_(std::move(name)), target_(target) {}
  ~TemporaryFile() override {
    if (!name_.empty()) unlink(name_.c_str());
  }

  Status Write(std::span<const std::byte> bytes) override {
    if (bytes.size() >= kChunk) {
      ONDINE_TRY(Flush());
      return WriteThrough(bytes);
    }
    buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return buffer_.size() >= kChunk ? Flush() : Status();
  }

  Status Flush() {
    Status status = WriteThrough(std::as_bytes(std::span(buffer_)));
    buffer_.clear();
    return status;
  }

  Status Sync(std::optional<mode_t> mode) {
    if (mode && fchmod(fd_.get(), *mode) != 0) return Failed(errno);
    // Some file systems have nothing to sync and say so with EINVAL.
    if (fsync(fd_.get()) != 0 && errno != EINVAL) return Failed(errno);
    if (const int error = fd_.Close(); error != 0) return Failed(error);
    return {};
  }

  Status RenameTo(const std::string& path) {
    if (rename(name_.c_str(), path.c_str()) != 0) return Failed(errno);
    name_.clear();
    return {};
  }

 private:
  Status WriteThrough(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed(errno);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Status Failed(int number) const { return SystemError("write", number, target_); }

  Descriptor fd_;
  std::string name_;
  const std::string& target_;
  std::string buffer_;
};

}  // namespace

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::Release(std::span<const std::byte> part) const {
  if (data_ == nullptr || part.empty()) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t end = static_cast<std::size_t>(part.data() - data_) + part.size();
  const std::size_t begin = static_cast<std::size_t>(part.data() - data_) / page * page;
  // Only advice: pages of a file that nobody wrote to come back unchanged.
  (void)madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

Result<MappedFile> MappedFile::Open(const std::string& path) {
  // Without O_NONBLOCK a named pipe would block here before it can be refused.
  const Descriptor fd(OpenRetrying(path.c_str(), O_RDONLY | O_NONBLOCK));
  if (fd.get() < 0) return SystemError("open", errno, path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return SystemError("open", errno, path);
  if (S_ISDIR(info.st_mode)) {
    return MakeError(ErrorCode::kIo, "is a directory: name a file in it", path);
  }
  if (!S_ISREG(info.st_mode)) {
    return MakeError(ErrorCode::kInvalidArgument, "is not a regular file: copy it to one", path);
  }
  if (info.st_size == 0) {
    return MakeError(ErrorCode::kCorrupt, "is empty: download or write it again", path);
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) return SystemError("map into memory", errno, path);
  return MappedFile(static_cast<const std::byte*>(data), size);
}

Result<std::string> ReadFile(const std::string& path) {
  if (path == "-") return ReadAll(STDIN_FILENO, "standard input", 0);
  const Descriptor fd(OpenRetrying(path.c_str(), O_RDONLY));
  if (fd.get() < 0) return SystemError("open", errno, path);
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return SystemError("open", errno, path);
  if (S_ISDIR(info.st_mode)) {
    return MakeError(ErrorCode::kIo, "is a directory: name a file in it", path);
  }
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode)) {
    return MakeError(ErrorCode::kInvalidArgument, "is not a regular file: copy it to one", path);
  }
  // One chunk more than the file, so that the read that finds its end needs no second allocation.
  return ReadAll(fd.get(), path, static_cast<std::size_t>(info.st_size) + kChunk);
}

Status WriteFileAtomically(const std::string& path, const std::function<Status(FileSink&)>& fill) {
  namespace fs = std::filesystem;
  std::string target = path;
  std::optional<mode_t> mode;  // of the file that is replaced
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) {
      return MakeError(ErrorCode::kIo, "is a directory: name a file in it", path);
    }
    if (!S_ISREG(info.st_mode)) {
      return MakeError(ErrorCode::kIo, "is not a regular file: choose another name", path);
    }
    mode = info.st_mode & 07777;
    std::error_code ignored;
    const fs::path resolved = fs::canonical(path, ignored);
    if (!resolved.empty()) target = resolved.string();
  }
  fs::path directory = fs::path(target).parent_path();
  if (directory.empty()) directory = ".";

  static std::atomic<unsigned> counter = 0;
  std::string name;
  int fd;
  do {
    name = (directory / (".ondine-" + std::to_string(getpid()) + "-" +
                         std::to_string(counter.fetch_add(1)) + ".tmp"))
               .string();
    fd = OpenRetrying(name.c_str(), O_WRONLY | O_CREAT | O_EXCL,
                      mode ? *mode & 0600 : 0666);  // nobody reads more of it than of the old one
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return MakeError(ErrorCode::kNotFound,
                     "cannot write: there is no directory '" + directory.string() + "': create it",
                     path);
  }
  if (fd < 0) return SystemError("write", errno, path);

  TemporaryFile file(fd, name, path);
  ONDINE_TRY(fill(file));
  ONDINE_TRY(file.Flush());
  ONDINE_TRY(file.Sync(mode));
  ONDINE_TRY(file.RenameTo(target));

  // The new file is in place and whole; syncing its directory only makes the name survive a loss of
  // power, so that a directory that cannot be opened or synced is no failure.
  const Descriptor directory_fd(OpenRetrying(directory.c_str(), O_RDONLY | O_DIRECTORY));
  if (directory_fd.get() >= 0) (void)fsync(directory_fd.get());
  return {};
}

Status CheckWritable(const std::string& path) {
  bool writable = false;
  const Status status = WriteFileAtomically(path, [&](FileSink&) {
    writable = true;
    return MakeError(ErrorCode::kCancelled, "only tried", path);
  });
  return writable ? Status() : status;
}

Status CheckDistinct(std::initializer_list<std::string> paths) {
  const auto place = [](const std::string& path) {
    std::error_code error;
    // Of a path whose first part is not there yet, the canonical form would be the path itself.
    const auto absolute = std::filesystem::absolute(path, error);
    const auto canonical = std::filesystem::weakly_canonical(absolute, error);
    return error ? std::filesystem::path(path) : canonical;
  };
  std::set<std::filesystem::path> places;
  for (const std::string& path : paths) {
    if (path.empty() || places.insert(place(path)).second) continue;
    return MakeError(ErrorCode::kInvalidArgument, "is named for two purposes", path);
  }
  return {};
}

Status CheckOutput(const std::string& output, const std::vector<std::string>& inputs) {
  if (output.empty()) return {};
  for (const std::string& input : inputs) ONDINE_TRY(CheckDistinct({input, output}));
  return CheckWritable(output);
}

}  // namespace ondine::base
