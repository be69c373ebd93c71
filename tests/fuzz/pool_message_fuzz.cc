#include "fuzz/fuzzer.h"
#include "serve/pool_message.h"

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {R"({"pool":"p","similarities":[0.5,-0.25]})",
          R"({"pool":"p","base":"b","mean":[0.5],"indicators":[[1],[0]]})"};
}

// What is read can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = ondine::serve::ParsePoolRequest(text)) {
    if (!ondine::serve::ParsePoolRequest(ToMessage(*request))) __builtin_trap();
  }
  if (const auto outline = ondine::serve::ParsePoolOutline(text)) {
    if (!ondine::serve::ParsePoolOutline(ToMessage(*outline))) __builtin_trap();
  }
  return 0;
}
