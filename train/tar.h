// Archives of regular files: what the photos of a data set come in.
#ifndef ONDINE_TRAIN_TAR_H_
#define ONDINE_TRAIN_TAR_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ondine/result.h"

namespace ondine::train {

struct TarMember {
  std::string name;
  std::span<const std::byte> bytes;  // inside the archive
};

// The files of a USTAR archive, in its order; `path` stands in error messages. Errors: kCorrupt,
// kUnsupported (a member is no regular file).
Result<std::vector<TarMember>> ReadTar(std::span<const std::byte> archive, const std::string& path);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_TAR_H_
