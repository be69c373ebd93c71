// Files of JSON objects: those that people write for the program, and data sets.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/json_lines.h"
#include "eval/json_records.h"
#include "fuzz/fuzzer.h"

std::vector<std::string> ondine::testing::FuzzSeeds() {
  return {"{\"prompt\": \"a\", \"answer\": \"b\"}\n\n{\"prompt\": \"\\u00e9\"}\r\n",
          "{\"prompt\": \"a\", \"texts\": [\"b\", \"c\"], \"index\": 1}\n{}\n",
          " [{\"prompt\": \"],\"},\n {\"index\": [{}, \"\\\"\"]}]\n", "[", "{"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory: a disk would be the slowest part.
  static const int file = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) {
    std::abort();
  }

  std::size_t lines = 0;
  const auto read = ondine::engine::ReadJsonLines(path, "{}", [&](const nlohmann::json& object) {
    [[maybe_unused]] const auto prompt = ondine::engine::TextOf(object, "prompt");
    ++lines;
    return true;
  });
  const auto records = ondine::eval::ReadJsonRecords(path);
  if (!records) return 0;
  for (const auto& record : *records) {
    const auto prompt = TextField(record, "prompt");
    const auto texts = TextsField(record, "texts");
    const auto index = IndexField(record, "index", 2);
    const bool right =
        (!prompt || !prompt->empty()) && (!texts || texts->size() >= 2) && (!index || *index < 2);
    if (!right || !record.place.starts_with(path)) __builtin_trap();
  }
  // Both read the same lines, and those of an array are none to the one that knows no arrays.
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool array = first != std::string_view::npos && text[first] == '[';
  if (!records->empty() && (array ? bool(read) : !read || lines != records->size())) {
    __builtin_trap();
  }
  return 0;
}
