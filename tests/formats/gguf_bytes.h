// Builds GGUF files byte by byte, right or wrong as a test wants them. For right ones GgufWriter is
// the shorter way.
#ifndef ONDINE_TESTS_FORMATS_GGUF_BYTES_H_
#define ONDINE_TESTS_FORMATS_GGUF_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace ondine::testing {

class GgufBytes {
 public:
  // Value types of the format that tests name.
  enum Type : std::uint32_t {
    kUint8 = 0,
    kUint32 = 4,
    kInt32 = 5,
    kFloat32 = 6,
    kBool = 7,
    kString = 8,
    kArray = 9,
    kUint64 = 10,
    kFloat64 = 12
  };

  // Magic, version and the two counts, which nothing checks against what follows.
  static GgufBytes Header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    GgufBytes bytes;
    bytes.text_ = "GGUF";
    return bytes.Number(version).Number(tensors).Number(keys);
  }

  template <typename T>
  GgufBytes& Number(T number) {
    text_.append(reinterpret_cast<const char*>(&number), sizeof(T));
    return *this;
  }
  GgufBytes& Text(std::string_view text) {
    Number<std::uint64_t>(text.size());
    text_ += text;
    return *this;
  }
  GgufBytes& Raw(std::string_view text) {
    text_ += text;
    return *this;
  }

  // The name and type of a key; its value is to follow.
  GgufBytes& Key(std::string_view name, std::uint32_t type) { return Text(name).Number(type); }
  GgufBytes& Key(std::string_view name, std::string_view value) {
    return Key(name, kString).Text(value);
  }
  // The head of an array; its elements are to follow.
  GgufBytes& Array(std::string_view name, std::uint32_t element, std::uint64_t count) {
    return Key(name, kArray).Number(element).Number(count);
  }

  GgufBytes& Tensor(std::string_view name, std::initializer_list<std::uint64_t> shape,
                    std::uint32_t type, std::uint64_t offset) {
    Text(name).Number(static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t length : shape) Number(length);
    return Number(type).Number(offset);
  }

  // Zeros up to a multiple of `alignment`, then `data` bytes of tensors.
  GgufBytes& Data(std::size_t data, std::size_t alignment = 32) {
    text_.resize((text_.size() + alignment - 1) / alignment * alignment);
    text_.append(data, '\x11');
    return *this;
  }

  const std::string& text() const { return text_; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(text_)); }

 private:
  std::string text_;
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_FORMATS_GGUF_BYTES_H_
