#include "fuzz/fuzzer.h"
#include "images/class_file.h"

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {images::FormatClassFile({"clip", "0123", {{"a \"b\"", "(a:1.5) shoe"}, {"c", "c"}}}),
          R"({"a": "a photo of an a", "b_c": ["red", "with a strap"]})", "[", "{}"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ondine::images::ParseClassTexts(text);
  const auto file = ondine::images::ParseClassFile(text);
  if (!file) return 0;
  // What was read can be written and read again.
  const auto again = ondine::images::ParseClassFile(ondine::images::FormatClassFile(*file));
  if (!again || again->classes.size() != file->classes.size()) __builtin_trap();
  return 0;
}
