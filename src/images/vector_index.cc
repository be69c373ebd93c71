#include "images/vector_index.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/guarded.h"
#include "base/try.h"
#include "compute/thread_pool.h"
#include "images/vector_file.h"

namespace ondine::images {
namespace {

// Below, a search is over before another thread has begun.
constexpr std::size_t kRowsPerThread = 8192;
constexpr std::size_t kRowsAtOnce = 1024;  // whose scores stay in the cache
constexpr std::size_t kListsSearched = 8;  // one of so many

class MemorySink final : public base::FileSink {
 public:
  explicit MemorySink(std::vector<std::byte>& bytes) : bytes_(bytes) {}
  Status Write(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }

 private:
  std::vector<std::byte>& bytes_;
};

bool Better(const VectorIndex::Hit& a, const VectorIndex::Hit& b) {
  return a.score != b.score ? a.score > b.score : a.id < b.id;
}

// FAISS's own function for this adds one product after the other where it is built for any CPU, as
// Debian's is; in sixteen sums it goes at the speed of memory.
float InnerProduct(const float* a, const float* b, std::size_t length) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < length; ++i) sums[i % kLanes] += a[i] * b[i];
  for (std::size_t step = kLanes / 2; step > 0; step /= 2) {
    for (std::size_t lane = 0; lane < step; ++lane) sums[lane] += sums[lane + step];
  }
  return sums[0];
}

void InnerProducts(std::span<const float> query, const float* rows, std::size_t count,
                   float* products) {
  for (std::size_t row = 0; row < count; ++row) {
    products[row] = InnerProduct(query.data(), rows + row * query.size(), query.size());
  }
}

}  // namespace

bool VectorIndex::Use(std::span<const std::byte> bytes, const PhotoDatabase::Version& version,
                      std::size_t length) {
  const auto parts = ReadVectorFile(bytes, version, length);
  if (!parts) return false;
  length_ = length;
  vectors_ = parts->vectors;
  ids_ = parts->ids;
  centres_ = parts->centres;
  begins_ = parts->begins;
  return true;
}

Result<VectorIndex> VectorIndex::Open(const PhotoDatabase& database, int threads) {
  const auto open = [&]() -> Result<VectorIndex> {
    VectorIndex index;
    index.threads_ = threads;
    const std::string path = database.path() + ".vectors";
    const auto length = static_cast<std::size_t>(database.encoder().length);
    const auto load = [&](const PhotoDatabase::Version& version) {
      auto mapping = base::MappedFile::Open(path);
      if (!mapping || !index.Use(mapping->bytes(), version, length)) return false;
      index.mapping_ = std::move(*mapping);
      return true;
    };
    ONDINE_ASSIGN(PhotoDatabase::Version version, database.ReadVersion());
    if (load(version)) return index;
    const Status written = base::WriteFileAtomically(path, [&](base::FileSink& sink) -> Status {
      ONDINE_ASSIGN(version, WriteVectors(database, sink));
      return {};
    });
    // An indexer may have committed something since: then it is of the version before, as a whole.
    if (written && load(version)) return index;
    // It cannot be written here, or another search has just put its own there.
    MemorySink sink(index.memory_);
    ONDINE_ASSIGN(version, WriteVectors(database, sink));
    if (index.Use(index.memory_, version, length)) return index;
    return MakeError(ErrorCode::kInternal, "its vectors do not fit what was written of them", path);
  };
  return base::Guarded(open, "no memory for its vectors", database.path());
}

std::vector<VectorIndex::Range> VectorIndex::Nearest(std::span<const float> query) const {
  const std::size_t lists = begins_.size() - 1;
  std::vector<float> products(lists);
  InnerProducts(query, centres_.data(), lists, products.data());
  std::vector<std::size_t> order(lists);
  for (std::size_t i = 0; i < lists; ++i) {
    order[i] = i;
    if (products[i] != products[i]) products[i] = -std::numeric_limits<float>::infinity();
  }
  const auto searched = static_cast<std::ptrdiff_t>((lists + kListsSearched - 1) / kListsSearched);
  std::ranges::partial_sort(order, order.begin() + searched, std::greater<>(),
                            [&](std::size_t list) { return products[list]; });
  std::vector<Range> ranges;
  for (std::ptrdiff_t i = 0; i < searched; ++i) {
    const std::size_t list = order[static_cast<std::size_t>(i)];
    ranges.push_back({begins_[list], begins_[list + 1]});
  }
  return ranges;
}

void VectorIndex::SearchRange(std::span<const float> query, std::size_t count, Range range,
                              const std::optional<std::vector<ContentId>>& allowed,
                              std::vector<Hit>& best) const {
  std::array<float, kRowsAtOnce> products;
  for (std::size_t row = range.begin; row < range.end; row += kRowsAtOnce) {
    const std::size_t rows = std::min(kRowsAtOnce, range.end - row);
    InnerProducts(query, vectors_.data() + row * length_, rows, products.data());
    for (std::size_t i = 0; i < rows; ++i) {
      const Hit hit{ids_[row + i], products[i]};
      if (hit.score != hit.score) continue;  // damaged vectors are found by nothing
      if (best.size() == count && !Better(hit, best.front())) continue;
      if (allowed && !std::ranges::binary_search(*allowed, hit.id)) continue;
      if (best.size() == count) {
        std::ranges::pop_heap(best, Better);
        best.pop_back();
      }
      best.push_back(hit);
      std::ranges::push_heap(best, Better);
    }
  }
}

std::vector<VectorIndex::Hit> VectorIndex::Search(
    std::span<const float> query, std::size_t count,
    const std::optional<std::vector<ContentId>>& allowed) const {
  if (count == 0 || size() == 0) return {};
  std::vector<Range> ranges = {{0, size()}};
  if (begins_.size() > 2 && !allowed) ranges = Nearest(query);
  std::size_t rows = 0;
  for (const Range& range : ranges) rows += range.end - range.begin;
  const std::size_t threads =
      std::clamp<std::size_t>(rows / kRowsPerThread, 1, static_cast<std::size_t>(threads_));

  // Each thread takes the same share of every range.
  std::vector<std::vector<Hit>> found(threads);
  compute::ThreadPool(static_cast<int>(threads)).Run([&](const compute::Worker& worker) {
    const auto index = static_cast<std::size_t>(worker.index());
    for (const Range& range : ranges) {
      const auto share = worker.Share(static_cast<std::int64_t>(range.end - range.begin));
      SearchRange(query, count,
                  {range.begin + static_cast<std::size_t>(share.begin),
                   range.begin + static_cast<std::size_t>(share.end)},
                  allowed, found[index]);
    }
  });

  std::vector<Hit> best;
  for (const std::vector<Hit>& hits : found) best.insert(best.end(), hits.begin(), hits.end());
  std::ranges::sort(best, Better);
  if (best.size() > count) best.resize(count);
  return best;
}

}  // namespace ondine::images
