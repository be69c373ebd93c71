#include "memory/pot_snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/try.h"
#include "memory/pot_parts.h"

namespace ondine::memory {
namespace {

// Not std::tmpfile()'s /tmp, which may lie in memory.
std::string TemporaryFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != 0 ? folder : "/var/tmp";
}

// Null where errno tells why there is none.
std::FILE* OpenTemporary(const std::string& folder) {
  int fd = -1;
#ifdef O_TMPFILE
  fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
#endif
  if (fd < 0) {  // not every file system can
    std::string name = folder + "/ondine-XXXXXX";
    fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) unlink(name.c_str());
  }
  if (fd < 0) return nullptr;
  std::FILE* file = fdopen(fd, "w+b");
  if (file == nullptr) close(fd);
  return file;
}

}  // namespace

Result<PotSnapshot> PotSnapshot::Take(const Pot& pot) {
  const std::string folder = TemporaryFolder();
  std::unique_ptr<std::FILE, Close> file(OpenTemporary(folder));
  const auto failed = [&] {
    return MakeError(ErrorCode::kIo,
                     std::string("the pot cannot be set aside in a temporary file (see TMPDIR): ") +
                         std::strerror(errno),
                     folder);
  };
  if (!file) return failed();
  const Writer write = [&](Bytes bytes) -> Status {
    if (bytes.empty()) return {};  // no address to give to a C function
    if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) return failed();
    return {};
  };
  const models::KvCache& cache = pot.cache();
  for (int i = 0; i < cache.layers(); ++i) {
    const models::KvCache::Layer& layer = cache.layer(i);
    const std::int64_t rows = layer.local ? cache.local_length() : cache.length();
    for (const bool keys : {true, false}) {
      ONDINE_TRY(WriteHeads(layer.store, rows, keys, write));
    }
    for (const bool origins : {true, false}) {
      ONDINE_TRY(WriteEntries(pot.entries()[static_cast<std::size_t>(i)], origins, write));
    }
  }
  if (std::fflush(file.get()) != 0) return failed();
  return PotSnapshot(std::move(file), pot.SetMark(), cache.local_length());
}

Status PotSnapshot::Restore(Pot& pot) const {
  std::rewind(file_.get());
  const Reader read = [&](std::span<std::byte> bytes) -> Status {
    if (bytes.empty()) return {};
    if (std::fread(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size()) return {};
    return MakeError(ErrorCode::kIo, "the pot's temporary file cannot be read back");
  };
  models::KvCache& cache = pot.cache_;
  for (int i = 0; i < cache.layers(); ++i) {
    const std::int64_t rows = cache.layer(i).local ? local_length_ : mark_.cache.length;
    for (const bool keys : {true, false}) {
      ONDINE_TRY(ReadHeads(cache.store(i), rows, keys, read));
    }
    for (const bool origins : {true, false}) {
      ONDINE_TRY(ReadEntries(pot.entries_[static_cast<std::size_t>(i)], mark_.cache.length, origins,
                             read));
    }
  }
  cache.Restore(mark_.cache.length, mark_.cache.position, local_length_);
  pot.Reset(mark_);
  return {};
}

}  // namespace ondine::memory
