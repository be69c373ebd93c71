// Photos of products with their names and attributes: the data set in <data>/images/fashion
// (Fashion Product Images, small form), cut into its fixed parts.
#ifndef ONDINE_TRAIN_FASHION_DATA_H_
#define ONDINE_TRAIN_FASHION_DATA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "ondine/result.h"

namespace ondine::train {

enum class Attribute { kGender, kCategory, kKind, kType, kColour, kSeason, kUsage };
inline constexpr std::size_t kAttributes = 7;
// Columns of products.csv.
inline constexpr std::array<std::string_view, kAttributes> kAttributeColumns = {
    "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "usage"};

struct FashionItem {
  std::string photo;                                // "15970.jpg"
  std::string name;                                 // of the product; empty where unknown
  std::array<std::string, kAttributes> attributes;  // empty where unknown
  std::span<const std::byte> jpeg;                  // inside FashionData::archives
  std::uint64_t content = 0;                        // hash of the photo's bytes

  const std::string& operator[](Attribute attribute) const {
    return attributes[static_cast<std::size_t>(attribute)];
  }
};

struct FashionData {
  std::vector<base::MappedFile> archives;
  std::vector<FashionItem> training, validation, test;
};

// Names decide the parts, so that no name stands in two; photos of validation and test whose bytes
// also occur in training are left out, and one that is blank. `data` is the folder that holds
// images/. Errors: kNotFound, kIo, kCorrupt (names file and line).
Result<FashionData> LoadFashion(const std::string& data);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_FASHION_DATA_H_
