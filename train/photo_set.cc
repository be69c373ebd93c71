#include "train/photo_set.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/try.h"
#include "compute/thread_pool.h"
#include "images/picture.h"

namespace ondine::train {

Result<PhotoSet> DecodePhotos(std::vector<FashionItem> items, int size, int threads,
                              const StopToken& stop_token) {
  PhotoSet set;
  set.items = std::move(items);
  set.size = size;
  const std::size_t bytes = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  set.pixels.resize(set.items.size() * bytes);
  const images::PictureForm form = {size, models::ResizeMode::kSquash};
  compute::ThreadPool pool(threads);
  std::vector<Status> outcomes(static_cast<std::size_t>(threads));
  pool.Run([&](compute::Worker& worker) {
    const auto [begin, end] = worker.Share(static_cast<std::int64_t>(set.items.size()));
    Status& outcome = outcomes[static_cast<std::size_t>(worker.index())];
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      if (stop_token.Stopped()) {
        outcome = MakeError(ErrorCode::kCancelled, "stopped before the first step");
        return;
      }
      const auto picture = images::DecodePicture(set.items[i].jpeg, form, set.items[i].photo);
      if (!picture) {
        outcome = tl::unexpected(picture.error());
        return;
      }
      std::ranges::copy(picture->pixels,
                        set.pixels.begin() + static_cast<std::ptrdiff_t>(i * bytes));
    }
  });
  for (const Status& outcome : outcomes) ONDINE_TRY(outcome);
  return set;
}

}  // namespace ondine::train
