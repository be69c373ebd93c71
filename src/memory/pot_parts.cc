#include "memory/pot_parts.h"

#include "base/try.h"

namespace ondine::memory {

Status WriteHeads(const compute::KvLayer& store, std::int64_t rows, bool keys,
                  const Writer& write) {
  std::vector<std::byte> buffer(store.ExportBytes(rows));
  for (int head = 0; head < store.shape().kv_heads; ++head) {
    if (keys) {
      store.ExportKeys(head, rows, buffer.data());
    } else {
      store.ExportValues(head, rows, buffer.data());
    }
    ONDINE_TRY(write(buffer));
  }
  return {};
}

Status ReadHeads(compute::KvLayer& store, std::int64_t rows, bool keys, const Reader& read) {
  std::vector<std::byte> buffer(store.ExportBytes(rows));
  for (int head = 0; head < store.shape().kv_heads; ++head) {
    ONDINE_TRY(read(buffer));
    if (keys) {
      store.ImportKeys(head, rows, buffer.data());
    } else {
      store.ImportValues(head, rows, buffer.data());
    }
  }
  return {};
}

Status WriteEntries(const std::vector<HeadEntries>& heads, bool origins, const Writer& write) {
  for (const HeadEntries& head : heads) {
    ONDINE_TRY(write(origins ? std::as_bytes(std::span(head.origin))
                             : std::as_bytes(std::span(head.surprise))));
  }
  return {};
}

Status ReadEntries(std::vector<HeadEntries>& heads, std::int64_t rows, bool origins,
                   const Reader& read) {
  for (HeadEntries& head : heads) {
    head.origin.resize(static_cast<std::size_t>(rows));
    head.surprise.resize(static_cast<std::size_t>(rows));
    ONDINE_TRY(read(origins ? std::as_writable_bytes(std::span(head.origin))
                            : std::as_writable_bytes(std::span(head.surprise))));
  }
  return {};
}

}  // namespace ondine::memory
