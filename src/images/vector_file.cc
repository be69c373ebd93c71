#include "images/vector_file.h"

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <numeric>
#include <vector>

#include "base/checksum.h"
#include "base/try.h"
#include "images/vector_index.h"

namespace ondine::images {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<char, 8> kMagic = {'O', 'n', 'V', 'e', 'c', 0, 0, 1};
constexpr std::size_t kAlignment = 8;

constexpr std::size_t Padded(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Pads parts and appends their checksum.
class PartWriter {
 public:
  explicit PartWriter(base::FileSink& sink) : sink_(sink) {}

  Status Write(std::span<const std::byte> bytes) {
    checksum_.Update(bytes);
    written_ += bytes.size();
    return sink_.Write(bytes);
  }
  Status EndPart() {
    constexpr std::array<std::byte, kAlignment> kZeros{};
    return Write(std::span(kZeros).first(Padded(written_) - written_));
  }
  template <typename T>
  Status Part(std::span<const T> values) {
    ONDINE_TRY(Write(std::as_bytes(values)));
    return EndPart();
  }
  Status Finish() {
    const std::uint64_t sum = checksum_.Value();
    return sink_.Write(std::as_bytes(std::span(&sum, 1)));
  }

 private:
  base::FileSink& sink_;
  base::Checksum checksum_;
  std::size_t written_ = 0;
};

struct Lists {
  std::vector<float> centres;
  std::vector<std::uint64_t> begins;
  std::vector<std::size_t> order;  // rows, list by list
};

// k-means from a sample of the vectors; then every vector goes to its nearest centre.
Lists Cluster(const std::vector<float>& vectors, std::size_t count, std::size_t length) {
  Lists lists;
  const auto number = static_cast<std::size_t>(std::sqrt(static_cast<double>(count)));
  faiss::ClusteringParameters parameters;
  parameters.niter = 10;
  parameters.spherical = true;
  parameters.max_points_per_centroid = 64;
  faiss::IndexFlatIP centres(static_cast<faiss::Index::idx_t>(length));
  faiss::Clustering clustering(static_cast<int>(length), static_cast<int>(number), parameters);
  clustering.train(static_cast<faiss::Index::idx_t>(count), vectors.data(), centres);
  lists.centres = std::move(clustering.centroids);

  std::vector<faiss::Index::idx_t> nearest(count);
  std::vector<float> scores(count);
  centres.search(static_cast<faiss::Index::idx_t>(count), vectors.data(), 1, scores.data(),
                 nearest.data());
  // What is near to nothing goes somewhere.
  for (auto& list : nearest) list = std::max<faiss::Index::idx_t>(list, 0);
  lists.begins.assign(number + 1, 0);
  for (const auto list : nearest) ++lists.begins[static_cast<std::size_t>(list) + 1];
  std::partial_sum(lists.begins.begin(), lists.begins.end(), lists.begins.begin());
  lists.order.resize(count);
  std::iota(lists.order.begin(), lists.order.end(), 0);
  std::ranges::stable_sort(lists.order, {}, [&](std::size_t row) { return nearest[row]; });
  return lists;
}

VectorFileHead MakeHead(const PhotoDatabase::Version& version, std::int64_t count,
                        std::size_t length, std::size_t lists) {
  VectorFileHead head{kMagic,
                      {},
                      version.generation,
                      static_cast<std::uint64_t>(count),
                      static_cast<std::uint32_t>(length),
                      static_cast<std::uint32_t>(lists)};
  std::copy_n(version.identity.begin(), std::min(version.identity.size(), head.identity.size()),
              head.identity.begin());
  return head;
}

// Row by row from the database into the file, so that no more than a row is in memory.
Status WriteOneList(const PhotoDatabase& database, const VectorFileHead& head, PartWriter& writer) {
  std::vector<ContentId> ids;
  ONDINE_TRY(writer.Part(std::span(&head, 1)));
  ONDINE_TRY(database.ReadVectors([&](ContentId id, std::span<const float> vector) {
    ids.push_back(id);
    return writer.Write(std::as_bytes(vector));
  }));
  ONDINE_TRY(writer.EndPart());
  ONDINE_TRY(writer.Part(std::span<const ContentId>(ids)));
  const std::array<std::uint64_t, 2> begins = {0, ids.size()};
  return writer.Part(std::span<const std::uint64_t>(begins));
}

Status WriteManyLists(const PhotoDatabase& database, VectorFileHead head, PartWriter& writer) {
  std::vector<ContentId> ids;
  std::vector<float> vectors;
  vectors.reserve(head.count * head.length);
  std::vector<std::size_t> damaged;  // rows that are no numbers, which FAISS refuses
  ONDINE_TRY(database.ReadVectors([&](ContentId id, std::span<const float> vector) {
    if (std::isnan(vector.front())) damaged.push_back(ids.size());
    ids.push_back(id);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
    return Status();
  }));
  const auto fill = [&](float value) {
    for (const std::size_t row : damaged) {
      std::fill_n(vectors.begin() + static_cast<std::ptrdiff_t>(row * head.length), head.length,
                  value);
    }
  };
  fill(0);
  const Lists lists = Cluster(vectors, ids.size(), head.length);
  fill(std::numeric_limits<float>::quiet_NaN());
  head.lists = static_cast<std::uint32_t>(lists.begins.size() - 1);
  ONDINE_TRY(writer.Part(std::span<const VectorFileHead>(&head, 1)));
  std::vector<ContentId> ordered;
  for (const std::size_t row : lists.order) {
    ONDINE_TRY(
        writer.Write(std::as_bytes(std::span(vectors).subspan(row * head.length, head.length))));
    ordered.push_back(ids[row]);
  }
  ONDINE_TRY(writer.EndPart());
  ONDINE_TRY(writer.Part(std::span<const ContentId>(ordered)));
  ONDINE_TRY(writer.Part(std::span<const float>(lists.centres)));
  return writer.Part(std::span<const std::uint64_t>(lists.begins));
}

// Takes parts from the front of a file, none beyond its end.
class PartReader {
 public:
  explicit PartReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  bool Read(std::uint64_t count, std::span<const T>& values) {
    if (count > rest_.size() / sizeof(T)) return false;
    values = {reinterpret_cast<const T*>(rest_.data()), static_cast<std::size_t>(count)};
    rest_ = rest_.subspan(std::min(rest_.size(), Padded(values.size_bytes())));
    return true;
  }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace

Result<PhotoDatabase::Version> WriteVectors(const PhotoDatabase& database,
                                            base::FileSink& sink) try {
  PhotoDatabase::Version version;
  const Status written = database.ReadTogether([&]() -> Status {
    PartWriter writer(sink);
    ONDINE_ASSIGN(version, database.ReadVersion());
    ONDINE_ASSIGN(const std::int64_t count, database.CountVectors());
    const auto length = static_cast<std::size_t>(database.encoder().length);
    const VectorFileHead head = MakeHead(version, count, length, 1);
    ONDINE_TRY(count > kExactUpTo ? WriteManyLists(database, head, writer)
                                  : WriteOneList(database, head, writer));
    return writer.Finish();
  });
  ONDINE_TRY(written);
  return version;
} catch (const std::bad_alloc&) {
  return MakeError(ErrorCode::kOutOfMemory, "no memory for an index of its vectors",
                   database.path());
} catch (const std::exception& error) {  // of FAISS
  return MakeError(ErrorCode::kInternal, error.what(), database.path());
}

std::optional<VectorFileParts> ReadVectorFile(std::span<const std::byte> bytes,
                                              const PhotoDatabase::Version& version,
                                              std::size_t length) {
  std::uint64_t sum = 0;
  VectorFileHead head;
  if (bytes.size() < sizeof(head) + sizeof(sum)) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof(head));
  const VectorFileHead wanted =
      MakeHead(version, static_cast<std::int64_t>(head.count), length, head.lists);
  if (std::memcmp(&head, &wanted, sizeof(head)) != 0) return std::nullopt;
  const auto content = bytes.first(bytes.size() - sizeof(sum));
  std::memcpy(&sum, content.data() + content.size(), sizeof(sum));
  if (base::Hash64(content) != sum) return std::nullopt;

  VectorFileParts parts;
  PartReader reader(content.subspan(sizeof(head)));
  std::uint64_t floats = 0;
  const std::uint64_t lists = head.lists;
  if (lists == 0 || __builtin_mul_overflow(head.count, std::uint64_t{length}, &floats)) {
    return std::nullopt;
  }
  const bool whole = reader.Read(floats, parts.vectors) && reader.Read(head.count, parts.ids) &&
                     (lists == 1 || reader.Read(lists * length, parts.centres)) &&
                     reader.Read(lists + 1, parts.begins) && reader.AtEnd();
  if (!whole || !std::ranges::is_sorted(parts.begins) || parts.begins.front() != 0 ||
      parts.begins.back() != head.count) {
    return std::nullopt;
  }
  return parts;
}

}  // namespace ondine::images
