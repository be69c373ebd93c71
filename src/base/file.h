// Files: read-only mappings, whole reads, and writes that either happen completely or not at all.
#ifndef ONDINE_SRC_BASE_FILE_H_
#define ONDINE_SRC_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>

#include "ondine/result.h"

namespace ondine::base {

// A read-only mapping of a regular file; moves, never copies. Directories, devices and empty files
// are errors (kIo, kInvalidArgument, kCorrupt) that say so. As with every mapping, a file that
// another process shortens meanwhile takes the process down with SIGBUS on the lost pages: replace
// a file that is in use by renaming another over it, as WriteFileAtomically does.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  static Result<MappedFile> Open(const std::string& path);
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Takes the pages of `part`, which lies in bytes(), out of this process's resident memory until
  // they are touched again. Nothing happens where there is no mapping.
  void Release(std::span<const std::byte> part) const;

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole of a regular file or a pipe or, for "-", of standard input. Errors: kNotFound, kIo,
// kInvalidArgument (a device, which may never end), kOutOfMemory.
Result<std::string> ReadFile(const std::string& path);

// Receives the bytes of a file under construction.
class FileSink {
 public:
  virtual ~FileSink() = default;
  virtual Status Write(std::span<const std::byte> bytes) = 0;
};

// Calls `fill` with a sink on a temporary file beside `path`, syncs it and renames it to `path`.
// On any error `path` is left as it was and the temporary file is removed. A path that exists and
// is no regular file (a directory, /dev/full) is refused: kIo. A directory that is not there:
// kNotFound. An existing file keeps its permissions; a link to it stays a link. A link to nothing
// is replaced.
Status WriteFileAtomically(const std::string& path, const std::function<Status(FileSink&)>& fill);

// Its errors, before hours are spent on what is to be written: whether there is room, nobody knows.
Status CheckWritable(const std::string& path);

// kInvalidArgument where two of them, empty ones apart, are the same file.
Status CheckDistinct(std::initializer_list<std::string> paths);

// Both, for a file that is to be made from `inputs`. An empty path is none.
Status CheckOutput(const std::string& output, const std::vector<std::string>& inputs);

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_FILE_H_
