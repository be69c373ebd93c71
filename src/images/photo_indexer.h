// Brings a photo library up to date with a folder.
#ifndef ONDINE_SRC_IMAGES_PHOTO_INDEXER_H_
#define ONDINE_SRC_IMAGES_PHOTO_INDEXER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "images/photo_encoder.h"
#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::images {

struct IndexProgress {
  std::int64_t done = 0, total = 0;  // photos
  double photos_per_second = 0;      // of those that had to be read
  double seconds_left = 0;
};

struct IndexOptions {
  int threads = 1;  // that read and decode, beside those of the encoder
  StopToken stop = {};
  std::function<void(const IndexProgress&)> progress = {};  // about ten times a second
};

struct IndexReport {
  std::int64_t unchanged = 0;
  std::int64_t added = 0;    // not seen before
  std::int64_t copied = 0;   // new files with a content that was known
  std::int64_t moved = 0;    // known under a name that is gone
  std::int64_t changed = 0;  // the same name with another content
  std::int64_t removed = 0;
  // Files that cannot be read or decoded: they are in none of the numbers above.
  std::vector<Error> broken;
  std::vector<Error> unreadable_folders;  // what was known in them stays known
  double seconds = 0;

  std::int64_t Photos() const { return unchanged + added + copied + moved + changed; }
};

// Files whose size and time are those that the library knows are not read; others are, and if their
// content is known, its vector is used again. Photos of `folder` that are gone are forgotten, those
// of other folders stay. The work is committed every few seconds: after an error, kCancelled or a
// crash, the next call goes on from there. Memory does not grow with the photos but by some 200
// bytes each. Errors: kNotFound (no such folder, or no photo in it), kCancelled, those of
// PhotoDatabase and of the encoder.
Result<IndexReport> IndexPhotos(const std::string& library, const std::string& folder,
                                PhotoEncoder& encoder, const IndexOptions& options);

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PHOTO_INDEXER_H_
