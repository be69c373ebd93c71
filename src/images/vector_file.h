// The file of a vector index: docs/formats/photo_library.md.
#ifndef ONDINE_SRC_IMAGES_VECTOR_FILE_H_
#define ONDINE_SRC_IMAGES_VECTOR_FILE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/file.h"
#include "images/photo_database.h"
#include "ondine/result.h"

namespace ondine::images {

struct VectorFileHead {
  std::array<char, 8> magic;      // "OnVec\0\0\1"
  std::array<char, 32> identity;  // of the database, hexadecimal digits
  std::int64_t generation;        // of the database
  std::uint64_t count;
  std::uint32_t length;  // of a vector
  std::uint32_t lists;   // 1: every vector is compared
};
static_assert(sizeof(VectorFileHead) == 64);

// What follows the head, each part at a multiple of 8 bytes.
struct VectorFileParts {
  std::span<const float> vectors;         // [count][length], list by list
  std::span<const ContentId> ids;         // [count]
  std::span<const float> centres;         // [lists][length], none if there is one list
  std::span<const std::uint64_t> begins;  // [lists + 1] rows of `vectors`
};

// Writes the vectors of the database, and says of which version they are.
Result<PhotoDatabase::Version> WriteVectors(const PhotoDatabase& database, base::FileSink& sink);

// Where `bytes`, which are aligned to 8, are whole and of this version of the database; each part
// then lies within them.
std::optional<VectorFileParts> ReadVectorFile(std::span<const std::byte> bytes,
                                              const PhotoDatabase::Version& version,
                                              std::size_t length);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_VECTOR_FILE_H_
