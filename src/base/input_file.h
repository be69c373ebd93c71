// A file, pipe or standard input that is read piece by piece.
#ifndef ONDINE_SRC_BASE_INPUT_FILE_H_
#define ONDINE_SRC_BASE_INPUT_FILE_H_

#include <cstddef>
#include <span>
#include <string>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::base {

class InputFile {
 public:
  InputFile() = default;
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  // "-" is standard input. Directories and devices are refused. Errors: kNotFound, kIo,
  // kInvalidArgument.
  static Result<InputFile> Open(const std::string& path);
  bool is_open() const { return descriptor_ >= 0; }
  // The next bytes, at least one, waited for where they are still to come; 0 at the end. Errors:
  // kIo, kCancelled.
  Result<std::size_t> Read(std::span<std::byte> buffer, const StopToken& stop = {});

 private:
  InputFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

  int descriptor_ = -1;
  std::string path_;
};

}  // namespace ondine::base

#endif  // ONDINE_SRC_BASE_INPUT_FILE_H_
