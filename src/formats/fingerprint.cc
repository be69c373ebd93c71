#include "formats/fingerprint.h"

#include <algorithm>
#include <type_traits>

#include "base/checksum.h"

namespace ondine::formats {
namespace {

constexpr std::size_t kStretches = 16;
constexpr std::size_t kStretchBytes = 4096;

template <typename T>
void Add(base::Checksum& hash, const T& value) {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    hash.Update(std::as_bytes(std::span(&value, 1)));
  } else {  // a string or vector: length, then elements
    Add(hash, static_cast<std::uint64_t>(value.size()));
    if constexpr (std::is_arithmetic_v<typename T::value_type>) {
      hash.Update(std::as_bytes(std::span(value.data(), value.size())));
    } else {
      for (const auto& element : value) Add(hash, element);
    }
  }
}

}  // namespace

std::string Fingerprint(const GgufFile& file) {
  base::Checksum hash;
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with("general.") && key != "general.architecture") continue;
    Add(hash, key);
    std::visit([&](const auto& v) { Add(hash, v); }, value);
  }
  for (const GgufTensor& tensor : file.tensors()) {
    Add(hash, tensor.name);
    Add(hash, tensor.type);
    for (std::int64_t size : tensor.shape) Add(hash, size);
    const std::span<const std::byte> data = tensor.data;
    if (data.size() <= kStretches * kStretchBytes) {
      hash.Update(data);
      continue;
    }
    for (std::size_t i = 0; i < kStretches; ++i) {
      const std::size_t begin = (data.size() - kStretchBytes) * i / (kStretches - 1);
      hash.Update(data.subspan(begin, kStretchBytes));
    }
  }
  return hash.Digits();
}

}  // namespace ondine::formats
