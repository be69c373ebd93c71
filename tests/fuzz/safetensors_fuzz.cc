#include "formats/safetensors.h"
#include "formats/safetensors_bytes.h"
#include "fuzz/fuzzer.h"

using ondine::formats::SafetensorsFile;
using ondine::testing::SafetensorsParts;
using ondine::testing::Stored;

std::vector<std::string> ondine::testing::FuzzSeeds() {
  SafetensorsParts parts;
  std::vector<std::string> seeds = {parts.Bytes()};
  parts.tensors["a"] = {"F32", {2, 2}, Stored<float>({1, 2, 3, 4})};
  seeds.push_back(parts.Bytes());
  parts.tensors["b"] = {"F64", {}, Stored<double>({1e300})};
  parts.tensors["c"] = {"F16", {3}, Stored<std::uint16_t>({1, 0x3C00, 0xFC00})};
  parts.tensors["d"] = {"BF16", {1, 1}, Stored<std::uint16_t>({0x3F80})};
  parts.tensors["e"] = {"U8", {3, 0}, ""};
  seeds.push_back(parts.Bytes());
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = SafetensorsFile::Parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  std::size_t bytes = 0;
  for (const auto& tensor : file->tensors()) {
    bytes += tensor.data.size();
    [[maybe_unused]] const auto values = file->Floats(tensor);
  }
  // They cover the data once.
  if (bytes > size) __builtin_trap();
  return 0;
}
