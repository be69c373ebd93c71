// Safetensors files: named tensors behind a JSON header.
// https://github.com/huggingface/safetensors
//
// The reader checks every length, type and offset before use: a tensor's bytes lie inside the file,
// have exactly the length that its type and shape ask for, and all tensors together cover the data
// without a gap or an overlap, as the format demands.
#ifndef ONDINE_SRC_FORMATS_SAFETENSORS_H_
#define ONDINE_SRC_FORMATS_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "ondine/result.h"

namespace ondine::formats {

struct SafetensorsTensor {
  std::string name;
  std::string type;                 // as in the file: "F32", "BF16", ...
  std::vector<std::int64_t> shape;  // outermost dimension first; empty for a single number
  std::span<const std::byte> data;  // inside the mapped file, aligned to nothing
};

class SafetensorsFile {
 public:
  // Maps the file and checks it. Errors: kNotFound, kIo, kCorrupt, kUnsupported (an element type
  // that is not known, by name), kOutOfMemory.
  static Result<SafetensorsFile> Open(const std::string& path);
  // The same from memory, which must outlive the object; `name` stands in error messages.
  static Result<SafetensorsFile> Parse(std::span<const std::byte> bytes, const std::string& name);

  const std::string& path() const { return path_; }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }  // by name

  // All elements of one of these tensors. kUnsupported unless they are F64, F32, F16 or BF16.
  Result<std::vector<float>> Floats(const SafetensorsTensor& tensor) const;

 private:
  base::MappedFile mapping_;  // empty after Parse()
  std::string path_;
  std::vector<SafetensorsTensor> tensors_;
};

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_SAFETENSORS_H_
