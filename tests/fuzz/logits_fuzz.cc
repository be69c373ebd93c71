#include <cmath>
#include <string>

#include "base/string_sink.h"
#include "engine/logits_file.h"
#include "fuzz/fuzzer.h"

namespace {

using ondine::engine::LogitsReader;

constexpr ondine::engine::LogitsHeader kHeader = {4, 5, 1};
constexpr ondine::TokenId kTokens[] = {1, 2, 3, 4};

}  // namespace

std::vector<std::string> ondine::testing::FuzzSeeds() {
  base::StringSink sink;
  engine::LogitsWriter writer;
  static_cast<void>(engine::LogitsWriter::WriteHeader(sink, kHeader, kTokens));
  static_cast<void>(writer.WriteRow(sink, std::vector<float>{0, 1, -2, 3, -40}, 3.2f));
  return {sink.text()};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto reader =
      LogitsReader::Parse(std::as_bytes(std::span(data, size)), "logits", kHeader, kTokens);
  if (!reader) return 0;
  for (auto row = reader->Next(); row; row = reader->Next()) {
    for (const float value : *row) {
      if (std::isnan(value)) __builtin_trap();
    }
  }
  return 0;
}
