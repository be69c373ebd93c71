// Reads photos on several threads, ahead of who takes them one after the other.
#ifndef ONDINE_SRC_IMAGES_PHOTO_READER_H_
#define ONDINE_SRC_IMAGES_PHOTO_READER_H_

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "images/content_hash.h"
#include "images/photo_scan.h"
#include "images/picture.h"
#include "ondine/result.h"

namespace ondine::images {

struct ReadPhoto {
  ContentHash hash{};
  // None where the content is known already; an error where it is no picture.
  std::optional<Result<Picture>> picture;
};

class PhotoReader {
 public:
  // `is_known` is called from several threads. All must outlive the object. At most `ahead` photos
  // are in memory.
  PhotoReader(std::span<const PhotoFile> files, const PictureForm& form,
              std::function<bool(const ContentHash&)> is_known, int threads, std::size_t ahead);
  // Stops reading.
  ~PhotoReader();
  PhotoReader(const PhotoReader&) = delete;
  PhotoReader& operator=(const PhotoReader&) = delete;

  // The next of the files, in their order; called at most once for each. Errors: kNotFound, kIo
  // (also where the file was changed meanwhile).
  Result<ReadPhoto> Next();

 private:
  void Run();
  Result<ReadPhoto> Read(const PhotoFile& file) const;
  Result<ReadPhoto> HashAndLoad(const PhotoFile& file) const;

  std::span<const PhotoFile> files_;
  PictureForm form_;
  std::function<bool(const ContentHash&)> is_known_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::size_t begun_ = 0, taken_ = 0;                   // files
  std::vector<std::optional<Result<ReadPhoto>>> ring_;  // of files taken_ to taken_ + ahead
  std::vector<std::thread> threads_;
};

}  // namespace ondine::images

#endif  // ONDINE_SRC_IMAGES_PHOTO_READER_H_
