// What a file contains, in 16 bytes (XXH3): files that are equal here are taken to be copies.
#ifndef ONDINE_SRC_IMAGES_CONTENT_HASH_H_
#define ONDINE_SRC_IMAGES_CONTENT_HASH_H_

#include <array>
#include <cstddef>
#include <string>

#include "ondine/result.h"

namespace ondine::images {

using ContentHash = std::array<std::byte, 16>;

// Reads the file in pieces. Errors: kNotFound, kIo.
Result<ContentHash> HashFile(const std::string& path);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_CONTENT_HASH_H_
