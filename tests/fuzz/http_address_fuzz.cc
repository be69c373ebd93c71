#include "fuzz/fuzzer.h"
#include "serve/http_address.h"

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {"http://127.0.0.1:8080/v1", "https://api.example.com/v1/", "http://[::1]:1/a/b//"};
}

// What is shown to people is the same address.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ondine::serve::ParseHttpAddress;
  const std::string_view url(reinterpret_cast<const char*>(data), size);
  const auto address = ParseHttpAddress(url);
  if (!address) return 0;
  const auto again = ParseHttpAddress(address->ToString());
  if (!again || again->encrypted != address->encrypted || again->host != address->host ||
      again->port != address->port || again->path != address->path) {
    __builtin_trap();
  }
  return 0;
}
