// Collects little-endian values: the counterpart of ByteReader.
#ifndef ONDINE_SRC_FORMATS_BYTE_WRITER_H_
#define ONDINE_SRC_FORMATS_BYTE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace ondine::formats {

class ByteWriter {
 public:
  template <typename T>
  void Write(T value) {
    static_assert(std::is_arithmetic_v<T>);
    text_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }

  // Text behind its length of 64 bits.
  void WriteText(std::string_view text) {
    Write<std::uint64_t>(text.size());
    text_ += text;
  }

  // Zeros up to a length of `size`.
  void PadTo(std::uint64_t size) { text_.resize(static_cast<std::size_t>(size)); }

  std::uint64_t size() const { return text_.size(); }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(text_)); }

 private:
  std::string text_;
};

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_BYTE_WRITER_H_
