#include "images/photo_reader.h"

#include <sys/stat.h>

#include <exception>
#include <utility>

#include "base/guarded.h"
#include "base/try.h"

namespace ondine::images {

PhotoReader::PhotoReader(std::span<const PhotoFile> files, const PictureForm& form,
                         std::function<bool(const ContentHash&)> is_known, int threads,
                         std::size_t ahead)
    : files_(files), form_(form), is_known_(std::move(is_known)), ring_(ahead) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  } catch (const std::exception&) {  // std::system_error or std::bad_alloc: these must do
  }
}

PhotoReader::~PhotoReader() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PhotoReader::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] {
      return stopped_ || begun_ == files_.size() || begun_ < taken_ + ring_.size();
    });
    if (stopped_ || begun_ == files_.size()) return;
    const std::size_t file = begun_++;
    lock.unlock();
    Result<ReadPhoto> photo = Read(files_[file]);
    lock.lock();
    ring_[file % ring_.size()] = std::move(photo);
    changed_.notify_all();
  }
}

Result<ReadPhoto> PhotoReader::Next() {
  if (threads_.empty()) return Read(files_[taken_++]);
  std::unique_lock lock(mutex_);
  auto& place = ring_[taken_ % ring_.size()];
  changed_.wait(lock, [&] { return place.has_value(); });
  Result<ReadPhoto> photo = std::move(*place);
  place.reset();
  ++taken_;
  changed_.notify_all();
  return photo;
}

Result<ReadPhoto> PhotoReader::Read(const PhotoFile& file) const {
  return base::Guarded([&] { return HashAndLoad(file); }, "no memory to read it", file.path);
}

Result<ReadPhoto> PhotoReader::HashAndLoad(const PhotoFile& file) const {
  ReadPhoto photo;
  ONDINE_ASSIGN(photo.hash, HashFile(file.path));
  if (!is_known_(photo.hash)) photo.picture = LoadPicture(file.path, form_);
  // What was hashed and what was decoded must be the same.
  struct stat info;
  const bool same =
      stat(file.path.c_str(), &info) == 0 && info.st_size == file.size &&
      std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec == file.modified;
  if (!same) return MakeError(ErrorCode::kIo, "was changed while it was read", file.path);
  // Of other errors the file may be innocent: it is tried again the next time.
  if (photo.picture && !*photo.picture && photo.picture->error().code != ErrorCode::kCorrupt) {
    return tl::unexpected(photo.picture->error());
  }
  return photo;
}

}  // namespace ondine::images
