#include <cstring>
#include <string>

#include "base/checksum.h"
#include "fuzz/fuzzer.h"
#include "images/vector_file.h"

namespace {

using ondine::images::ContentId;

constexpr std::uint32_t kLength = 2;
const ondine::images::PhotoDatabase::Version kVersion = {std::string(32, 'a'), 7};

template <typename T>
void Append(std::string& file, const std::vector<T>& values) {
  file.append(reinterpret_cast<const char*>(values.data()), sizeof(T) * values.size());
}

// The file of three vectors in so many lists, without its checksum.
std::string FileOf(std::uint32_t lists) {
  ondine::images::VectorFileHead head = {
      {'O', 'n', 'V', 'e', 'c', 0, 0, 1}, {}, kVersion.generation, 3, kLength, lists};
  kVersion.identity.copy(head.identity.data(), head.identity.size());
  std::string file(reinterpret_cast<const char*>(&head), sizeof head);
  Append(file, std::vector<float>{0, 1, 1, 0, -1, 0});
  Append(file, std::vector<ContentId>{1, 2, 3});
  if (lists > 1) Append(file, std::vector<float>(lists * kLength, 0.5f));
  Append(file, lists > 1 ? std::vector<std::uint64_t>{0, 2, 3} : std::vector<std::uint64_t>{0, 3});
  return file;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {FileOf(1), FileOf(2)};
}

// The checksum is put behind the input, so that what it protects is read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint64_t sum = ondine::base::Hash64(std::as_bytes(std::span(data, size)));
  std::vector<std::uint64_t> aligned(size / sizeof(sum) + 2);
  auto* bytes = reinterpret_cast<std::byte*>(aligned.data());
  std::memcpy(bytes, data, size);
  std::memcpy(bytes + size, &sum, sizeof(sum));
  const std::span<const std::byte> file(bytes, size + sizeof(sum));
  const auto parts = ondine::images::ReadVectorFile(file, kVersion, kLength);
  if (!parts) return 0;
  // All of it can be read, and lists lie within the rows.
  float total = 0;
  for (const float value : parts->vectors) total += value;
  for (const float value : parts->centres) total += value;
  ContentId ids = 0;
  for (const ContentId id : parts->ids) ids ^= id;
  if (parts->vectors.size() != parts->ids.size() * kLength ||
      parts->begins.back() != parts->ids.size()) {
    __builtin_trap();
  }
  static volatile float seen = 0;
  seen = seen + total + static_cast<float>(ids);
  return 0;
}
