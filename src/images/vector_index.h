// Nearest vectors of a photo library by inner product.
//
// The vectors lie in a file beside the database, `<database>.vectors`, that is mapped and searched
// where it is. The file only saves time: it is made again where it is not of the database's present
// version or damaged, and done without where it cannot be written.
#ifndef ONDINE_SRC_IMAGES_VECTOR_INDEX_H_
#define ONDINE_SRC_IMAGES_VECTOR_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "images/photo_database.h"
#include "ondine/result.h"

namespace ondine::images {

// Up to here every vector is compared, a matter of milliseconds: 200,000 of 512 floats are 400 MB.
// Beyond, vectors lie in about sqrt(n) lists around centres that k-means found (FAISS), and an
// eighth of the lists, those of the nearest centres, is searched. A search among some of the photos
// always compares all of these.
inline constexpr std::int64_t kExactUpTo = 200'000;

class VectorIndex {
 public:
  // Of what the database holds now. Searches run on `threads`. Errors: the database's,
  // kOutOfMemory.
  static Result<VectorIndex> Open(const PhotoDatabase& database, int threads);

  struct Hit {
    ContentId id = 0;
    float score = 0;
  };
  // The best `count` in order; of equals the one with the lower id is first. `query` has length()
  // numbers. `allowed`, ascending, restricts it. May be called from several threads.
  std::vector<Hit> Search(std::span<const float> query, std::size_t count,
                          const std::optional<std::vector<ContentId>>& allowed) const;

  std::size_t size() const { return ids_.size(); }
  std::size_t length() const { return length_; }

 private:
  struct Range {
    std::size_t begin, end;
  };
  // False where they are no index of this version of the database.
  bool Use(std::span<const std::byte> bytes, const PhotoDatabase::Version& version,
           std::size_t length);
  std::vector<Range> Nearest(std::span<const float> query) const;
  void SearchRange(std::span<const float> query, std::size_t count, Range range,
                   const std::optional<std::vector<ContentId>>& allowed,
                   std::vector<Hit>& best) const;

  base::MappedFile mapping_;
  std::vector<std::byte> memory_;  // where there is no file
  int threads_ = 1;
  std::size_t length_ = 0;
  std::span<const float> vectors_, centres_;  // [size()][length()], [lists][length()]
  std::span<const ContentId> ids_;
  std::span<const std::uint64_t> begins_;  // of the lists, and the end of the last
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_VECTOR_INDEX_H_
