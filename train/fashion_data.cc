#include "train/fashion_data.h"

#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "base/checksum.h"
#include "base/quote.h"
#include "base/try.h"
#include "eval/bucket.h"
#include "eval/csv.h"
#include "train/tar.h"

namespace ondine::train {
namespace {

constexpr int kArchives = 5;
constexpr int kValidationBucket = 90, kTestBucket = 95;  // where these parts begin
constexpr std::string_view kBlank = "44998.jpg";

using Columns = std::map<std::string, std::size_t, std::less<>>;

Result<std::size_t> Find(const Columns& columns, std::string_view name, const std::string& path) {
  const auto found = columns.find(name);
  if (found != columns.end()) return found->second;
  return MakeError(ErrorCode::kCorrupt, "has no column " + std::string(name), path);
}

std::string Known(const std::string& value) {
  return value == "NA" ? "" : value;
}

void DropCopies(const std::vector<FashionItem>& training, std::vector<FashionItem>& part) {
  std::set<std::uint64_t> contents;
  for (const FashionItem& item : training) contents.insert(item.content);
  std::erase_if(part, [&](const FashionItem& item) { return contents.contains(item.content); });
}

}  // namespace

Result<FashionData> LoadFashion(const std::string& data) {
  const std::filesystem::path folder = std::filesystem::path(data) / "images" / "fashion";
  FashionData fashion;
  std::map<std::string, std::span<const std::byte>, std::less<>> photos;
  for (int i = 0; i < kArchives; ++i) {
    const std::string path = (folder / ("images-" + std::to_string(i) + ".tar")).string();
    ONDINE_ASSIGN(base::MappedFile archive, base::MappedFile::Open(path));
    ONDINE_ASSIGN(const std::vector<TarMember> members, ReadTar(archive.bytes(), path));
    for (const TarMember& member : members) photos.emplace(member.name, member.bytes);
    fashion.archives.push_back(std::move(archive));
  }

  const std::string path = (folder / "products.csv").string();
  ONDINE_ASSIGN(const std::string text, base::ReadFile(path));
  ONDINE_ASSIGN(const std::vector<eval::CsvRow> rows, eval::ParseCsv(text, path));
  if (rows.empty()) return MakeError(ErrorCode::kCorrupt, "is empty", path);
  Columns columns;
  for (const std::string& name : rows.front().fields) columns.emplace(name, columns.size());
  ONDINE_ASSIGN(const std::size_t id, Find(columns, "id", path));
  ONDINE_ASSIGN(const std::size_t name, Find(columns, "productDisplayName", path));
  std::array<std::size_t, kAttributes> attributes{};
  for (std::size_t i = 0; i < kAttributes; ++i) {
    ONDINE_ASSIGN(attributes[i], Find(columns, kAttributeColumns[i], path));
  }

  for (const eval::CsvRow& row : std::span(rows).subspan(1)) {
    const std::string place = path + ":" + std::to_string(row.line);
    if (row.fields.size() != columns.size()) {
      return MakeError(ErrorCode::kCorrupt,
                       "has " + std::to_string(row.fields.size()) + " fields instead of " +
                           std::to_string(columns.size()),
                       place);
    }
    FashionItem item;
    item.photo = row.fields[id] + ".jpg";
    if (item.photo == kBlank) continue;
    item.name = Known(row.fields[name]);
    for (std::size_t i = 0; i < kAttributes; ++i) {
      item.attributes[i] = Known(row.fields[attributes[i]]);
    }
    const auto photo = photos.find(item.photo);
    if (photo == photos.end()) {
      return MakeError(ErrorCode::kCorrupt, "no archive has " + base::Quote(item.photo), place);
    }
    item.jpeg = photo->second;
    item.content = base::Hash64(item.jpeg);
    const int bucket = eval::Bucket(row.fields[name]);
    (bucket < kValidationBucket ? fashion.training
     : bucket < kTestBucket     ? fashion.validation
                                : fashion.test)
        .push_back(std::move(item));
  }
  DropCopies(fashion.training, fashion.validation);
  DropCopies(fashion.training, fashion.test);
  return fashion;
}

}  // namespace ondine::train
