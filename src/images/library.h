// A photo library to search in.
#ifndef ONDINE_SRC_IMAGES_LIBRARY_H_
#define ONDINE_SRC_IMAGES_LIBRARY_H_

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "images/photo_database.h"
#include "images/vector_index.h"
#include "ondine/result.h"

namespace ondine::images {

struct SearchOptions {
  std::size_t top = 10;
  float min_score = -std::numeric_limits<float>::infinity();
  PhotoFilter filter = {};  // its folder may be relative
};

struct FoundPhoto {
  Photo photo;
  float score = 0;  // inner product of the two vectors
};

// As it was when it was opened: what is indexed meanwhile is found after opening it again. One
// thread at a time.
class PhotoLibrary {
 public:
  // Errors: those of PhotoDatabase::Open and VectorIndex::Open.
  static Result<PhotoLibrary> Open(const std::string& path, int threads);

  const EncoderIdentity& encoder() const { return database_.encoder(); }
  std::size_t vectors() const { return index_.size(); }  // copies of a photo share theirs

  // The best first; of equals by path. kInvalidArgument: a query of another length.
  Result<std::vector<FoundPhoto>> Search(std::span<const float> query,
                                         const SearchOptions& options) const;

 private:
  PhotoLibrary(PhotoDatabase database, VectorIndex index)
      : database_(std::move(database)), index_(std::move(index)) {}

  PhotoDatabase database_;
  VectorIndex index_;
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_LIBRARY_H_
