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
  // One after the other, each behind a header of its own.
  constexpr std::size_t kHeader = 512;
  std::size_t end = 0;
  for (const auto& member : *members) {
    const std::ptrdiff_t begin = member.bytes.data() - reinterpret_cast<const std::byte*>(data);
    if (begin < static_cast<std::ptrdiff_t>(end + kHeader)) __builtin_trap();
    end = static_cast<std::size_t>(begin) + member.bytes.size();
  }
  if (end > size) __builtin_trap();
  return 0;
}
