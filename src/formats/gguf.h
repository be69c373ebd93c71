// GGUF files: metadata and tensors of a model, vocabulary, adapter or pool.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian)
//
// The reader checks every count, length, type and offset before use, so that what it returns can be
// used without further checks: a tensor's bytes lie inside the file, do not overlap another
// tensor's and have exactly the length its type and shape ask for.
#ifndef ONDINE_SRC_FORMATS_GGUF_H_
#define ONDINE_SRC_FORMATS_GGUF_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/file.h"
#include "formats/tensor_type.h"
#include "ondine/result.h"

namespace ondine::formats {

// One metadata value. Integers of every width become int64 or uint64, f32 becomes double; arrays
// hold one element type, as in the file, where f64 becomes float and bool uint64.
using GgufValue =
    std::variant<std::int64_t, std::uint64_t, double, bool, std::string, std::vector<std::int64_t>,
                 std::vector<std::uint64_t>, std::vector<float>, std::vector<std::string>>;

struct GgufTensor {
  std::string name;
  TensorType type = TensorType::kF32;
  std::array<std::int64_t, 4> shape = {1, 1, 1, 1};  // innermost (contiguous) dimension first
  int dims = 0;
  std::span<const std::byte> data;  // inside the mapped file

  std::int64_t Elements() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
};

class GgufFile {
 public:
  // Maps the file and checks it. Errors: kNotFound, kIo, kInvalidArgument (a device or a pipe),
  // kCorrupt, kUnsupported, kOutOfMemory.
  static Result<GgufFile> Open(const std::string& path);
  // The same from memory, which must outlive the object; `name` stands in error messages.
  static Result<GgufFile> Parse(std::span<const std::byte> bytes, const std::string& name);

  const std::string& path() const { return path_; }
  std::uint64_t file_size() const { return size_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  const GgufValue* Find(std::string_view key) const;          // null where absent
  const GgufTensor* FindTensor(std::string_view name) const;  // null where absent

  // Takes the pages of a tensor that has been copied out of this process's resident memory.
  void Release(const GgufTensor& tensor) const { mapping_.Release(tensor.data); }

  // Typed look-ups. An absent key gives nullopt (or the default); a value of another type, or one
  // that does not fit, is kCorrupt and names key, found and wanted type.
  Result<std::optional<std::int64_t>> FindInt(std::string_view key) const;
  Result<std::optional<double>> FindNumber(std::string_view key) const;  // float or integer
  Result<std::optional<bool>> FindBool(std::string_view key) const;
  Result<std::optional<std::string>> FindString(std::string_view key) const;
  // From an array of signed or unsigned integers.
  Result<std::optional<std::vector<std::int64_t>>> FindInts(std::string_view key) const;
  // Pointers into the file's metadata; null where absent.
  Result<const std::vector<std::string>*> FindStrings(std::string_view key) const;
  Result<const std::vector<float>*> FindFloats(std::string_view key) const;

 private:
  friend class GgufParser;
  tl::unexpected<Error> WrongType(std::string_view key, std::string_view wanted) const;

  base::MappedFile mapping_;  // empty after Parse()
  std::string path_;
  std::uint64_t size_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> tensor_index_;
};

// Collects metadata and tensors and writes a version 3 file, atomically. Numbers are written in the
// widths other programs look for: integers, and arrays of them, in 32 bits where they all fit and
// in 64 where not, a double as f32. The key general.alignment, where set, is obeyed.
class GgufWriter {
 public:
  void Set(std::string key, GgufValue value);
  // Copies nothing: `data` must live until Write().
  void Add(std::string name, TensorType type, std::span<const std::int64_t> shape,
           std::span<const std::byte> data);
  // A tensor that is made while it is written, so that it need not be in memory with all others:
  // `write` gives its bytes, exactly as many as type and shape ask for, to the sink.
  using TensorWriter = std::function<Status(base::FileSink&)>;
  void Add(std::string name, TensorType type, std::span<const std::int64_t> shape,
           TensorWriter write);
  // Errors: kInvalidArgument (a tensor whose shape, type and data disagree, a name used twice),
  // those of base::WriteFileAtomically and of the tensors' own writers.
  Status Write(const std::string& path) const;
  Status WriteTo(base::FileSink& sink) const;

 private:
  struct Pending {
    std::string name;
    TensorType type;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> data;
    TensorWriter write;  // instead of data
  };
  Result<std::uint64_t> Alignment() const;
  // The bytes of each, as type and shape ask for.
  Result<std::vector<std::uint64_t>> TensorSizes() const;

  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<Pending> tensors_;
};

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_GGUF_H_
