// Reads little-endian values from bytes of unknown origin without ever passing their end.
#ifndef ONDINE_SRC_FORMATS_BYTE_READER_H_
#define ONDINE_SRC_FORMATS_BYTE_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace ondine::formats {

// Every read returns false, and changes nothing, where the bytes do not suffice.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return bytes_.size() - position_; }

  template <typename T>
  bool Read(T& value) {
    static_assert(std::is_arithmetic_v<T>);
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  bool ReadText(std::uint64_t length, std::string_view& text) {
    if (remaining() < length) return false;
    text = {reinterpret_cast<const char*>(bytes_.data()) + position_,
            static_cast<std::size_t>(length)};
    position_ += static_cast<std::size_t>(length);
    return true;
  }

  // Text behind its length of 64 bits.
  bool ReadText(std::string_view& text) {
    const std::size_t start = position_;
    std::uint64_t length = 0;
    if (Read(length) && ReadText(length, text)) return true;
    position_ = start;
    return false;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_BYTE_READER_H_
