// .pot files: a distilled KV cache and what is needed to go on from it. docs/formats/pot.md
//
// The container knows named values and named sections of bytes, not what they mean; memory/ does.
// Checksums cover every byte, so that a file that opens is the file that was written. They are no
// protection against forgery: whoever reads values must still check their ranges.
#ifndef ONDINE_SRC_FORMATS_POT_FILE_H_
#define ONDINE_SRC_FORMATS_POT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/file.h"
#include "ondine/result.h"

namespace ondine::formats {

using PotValue = std::variant<std::string, std::int64_t, double, bool>;

// Sections start at multiples of 64 bytes, a cache line and the widest vector.
inline constexpr std::uint64_t kPotAlignment = 64;

class PotFileWriter {
 public:
  // Hands over a section's bytes, in pieces of any size.
  using Stream = std::function<Status(base::FileSink&)>;

  void Set(std::string key, PotValue value);
  // Copies nothing: `bytes` must live until Write().
  void AddSection(std::string name, std::span<const std::byte> bytes);
  // A section of `length` bytes that `stream` makes while the file is written, so that they need
  // never be in memory all at once.
  void AddSection(std::string name, std::uint64_t length, Stream stream);
  // Writes the file atomically. Errors: kInvalidArgument (a section added twice, or a stream that
  // makes another number of bytes than announced), those of base::WriteFileAtomically and of the
  // streams.
  Status Write(const std::string& path) const;

 private:
  struct Section {
    std::string name;
    std::uint64_t length;
    Stream stream;
  };
  std::map<std::string, PotValue, std::less<>> values_;
  std::vector<Section> sections_;
};

class PotFile {
 public:
  // Maps the file and checks all of it. Errors: kNotFound, kIo, kInvalidArgument (a device or a
  // pipe), kCorrupt, kUnsupported, kOutOfMemory.
  static Result<PotFile> Open(const std::string& path);
  // The same from memory, which must outlive the object and start at a multiple of kPotAlignment;
  // `name` stands in error messages.
  static Result<PotFile> Parse(std::span<const std::byte> bytes, const std::string& name);

  const std::string& path() const { return path_; }
  const std::map<std::string, PotValue, std::less<>>& values() const { return values_; }
  // In the order of the file.
  const std::vector<std::string>& section_names() const { return section_names_; }

  // A value that is absent, of another type or outside the range is kCorrupt and the message names
  // it. Numbers are finite.
  Result<std::string> GetString(std::string_view key) const;
  Result<bool> GetBool(std::string_view key) const;
  Result<std::int64_t> GetInt(
      std::string_view key, std::int64_t lowest = std::numeric_limits<std::int64_t>::min(),
      std::int64_t highest = std::numeric_limits<std::int64_t>::max()) const;
  Result<double> GetNumber(std::string_view key,
                           double lowest = std::numeric_limits<double>::lowest(),
                           double highest = std::numeric_limits<double>::max()) const;
  // kMismatch, naming the key and both values, unless the file has `expected`.
  Status Expect(std::string_view key, const PotValue& expected) const;

  // kCorrupt if there is no such section.
  Result<std::span<const std::byte>> Section(std::string_view name) const;
  // A section of `count` elements; kCorrupt if it has another length.
  template <typename T>
  Result<std::span<const T>> Array(std::string_view name, std::uint64_t count) const {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    const auto bytes = SizedSection(name, count, sizeof(T));
    if (!bytes) return tl::make_unexpected(bytes.error());
    return std::span(reinterpret_cast<const T*>(bytes->data()), bytes->size() / sizeof(T));
  }
  // Takes the pages of a section that has been copied out of this process's resident memory.
  void Release(std::span<const std::byte> section) const { mapping_.Release(section); }

 private:
  friend class PotParser;
  tl::unexpected<Error> Corrupt(std::string message) const;
  Result<const PotValue*> Get(std::string_view key) const;
  Result<std::span<const std::byte>> SizedSection(std::string_view name, std::uint64_t count,
                                                  std::uint64_t element_size) const;

  base::MappedFile mapping_;  // empty after Parse()
  std::string path_;
  std::map<std::string, PotValue, std::less<>> values_;
  std::map<std::string, std::span<const std::byte>, std::less<>> sections_;
  std::vector<std::string> section_names_;
};

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_POT_FILE_H_
