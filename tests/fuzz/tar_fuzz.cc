#include "fuzz/fuzzer.h"
#include "train/tar.h"
#include "train/tar_fixture.h"

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {TarMember("1.jpg", "first") + TarMember("2.jpg", std::string(600, 'x')),
          TarMember("empty", "") + std::string(1024, '\0'), TarMember("link", "", '2')};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto members = ondine::train::ReadTar(std::as_bytes(std::span(data, size)), "fuzz");
  if (!members) return 0;
  std::size_t bytes = 0;
  unsigned sum = 0;
  for (const auto& member : *members) {
    bytes += member.bytes.size();
    for (const std::byte value : member.bytes) sum += static_cast<unsigned>(value);
  }
  if (bytes > size || sum > 255 * size) __builtin_trap();
  return 0;
}
