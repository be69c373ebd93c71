#include "images/content_hash.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <bit>
#include <cerrno>
#include <memory>
#include <new>
#include <system_error>
#include <vector>

namespace ondine::images {

Result<ContentHash> HashFile(const std::string& path) {
  const auto failed = [&](int number) {
    return MakeError(number == ENOENT || number == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo,
                     "cannot read: " + std::generic_category().message(number), path);
  };
  // Without O_NONBLOCK a named pipe that took the file's place would block here.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed(errno);
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } const closer{fd};
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       XXH3_freeState);
  if (state == nullptr) return failed(ENOMEM);
  XXH3_128bits_reset(state.get());
  std::vector<std::byte> piece(std::size_t{256} << 10);
  while (true) {
    const ssize_t n = read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno);
    if (n == 0) break;
    XXH3_128bits_update(state.get(), piece.data(), static_cast<std::size_t>(n));
  }
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(state.get()));
  return std::bit_cast<ContentHash>(digest);
}

}  // namespace ondine::images
