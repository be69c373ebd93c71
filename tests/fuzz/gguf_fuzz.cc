#include "formats/gguf.h"
#include "formats/gguf_bytes.h"
#include "fuzz/fuzzer.h"

namespace {

using ondine::formats::GgufFile;
using ondine::formats::GgufTensor;
using ondine::testing::GgufBytes;

// Reads what is promised to be readable, so that the sanitizers see a broken promise.
unsigned Touch(const GgufFile& file) {
  unsigned sum = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    sum += static_cast<unsigned>(tensor.data.front()) + static_cast<unsigned>(tensor.data.back());
    sum += file.FindTensor(tensor.name) == &tensor ? 1 : 0;
  }
  for (const auto& [key, value] : file.metadata()) {
    sum += file.FindInt(key).has_value() + file.FindNumber(key).has_value() +
           file.FindBool(key).has_value() + file.FindString(key).has_value() +
           file.FindInts(key).has_value() + file.FindFloats(key).has_value() +
           file.FindStrings(key).has_value();
  }
  return sum;
}

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  GgufBytes values = GgufBytes::Header(0, 5);
  values.Key("general.architecture", "llama");
  values.Key("general.alignment", GgufBytes::kUint32).Number<std::uint32_t>(32);
  values.Key("f64", GgufBytes::kFloat64).Number(1.5);
  values.Key("flag", GgufBytes::kBool).Number<std::uint8_t>(1);
  values.Array("tokens", GgufBytes::kString, 2).Text("<s>").Text("a");
  GgufBytes arrays = GgufBytes::Header(0, 3, 2);
  arrays.Array("u8", GgufBytes::kUint8, 2).Number<std::uint16_t>(1);
  arrays.Array("types", GgufBytes::kInt32, 1).Number<std::int32_t>(3);
  arrays.Array("scores", GgufBytes::kFloat32, 1).Number(-1.0f);
  GgufBytes tensors = GgufBytes::Header(2, 1);
  tensors.Key("general.name", "x");
  tensors.Tensor("token_embd.weight", {32, 2}, 3, 0).Tensor("norm", {8}, 0, 64).Data(96);
  return {GgufBytes::Header(0, 0).text(), values.text(), arrays.text(), tensors.text()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = GgufFile::Parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file) return 0;
  [[maybe_unused]] const volatile unsigned sum = Touch(*file);
  return 0;
}
