#include "fuzz/fuzzer.h"
#include "serve/event_stream.h"

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n",
          ": comment\r\nevent: x\rdata\ndata:y\n\n", "data:\n\n"};
}

// However a stream is cut, it holds the same events, and no more than came.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string whole, cut;
  ondine::serve::EventStream one, other;
  one.Push(text, [&](std::string_view event) {
    whole.append(event).append(1, '\0');
    return true;
  });
  for (std::size_t i = 0; i < size; ++i) {
    other.Push(text.substr(i, 1), [&](std::string_view event) {
      cut.append(event).append(1, '\0');
      return true;
    });
  }
  if (whole != cut || whole.size() > size) __builtin_trap();
  return 0;
}
