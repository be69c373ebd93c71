#include "train/fashion_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/temp_dir.h"
#include "eval/bucket.h"

namespace ondine::testing {
namespace {

using train::Attribute;
using train::FashionItem;

const std::string kData = "../shared/data";

TEST(FashionData, NamesDecideTheParts) {
  EXPECT_EQ(eval::Bucket(""), 37);
  EXPECT_EQ(eval::Bucket("NA"), 24);
  EXPECT_EQ(eval::Bucket("Turtle Check Men Navy Blue Shirt"), 67);
  EXPECT_EQ(eval::Bucket("Nike Women's EM Tempo 3.5\" Pink Short"), 49);
  EXPECT_EQ(eval::Bucket("CASIO ENTICER Men Black Analogue Watch BS112 "), 95);
}

TEST(FashionData, IsReadWhole) {
  if (!std::filesystem::exists(kData + "/images/fashion")) {
    GTEST_SKIP() << kData << "/images/fashion not found";
  }
  const auto data = train::LoadFashion(kData);
  ASSERT_TRUE(data) << data.error().ToString();
  EXPECT_EQ(data->training.size(), 35848u - 1);  // without the blank photo
  EXPECT_EQ(data->validation.size(), 1845u);
  EXPECT_EQ(data->test.size(), 2029u);

  const FashionItem& first = data->training.front();
  EXPECT_EQ(first.photo, "15970.jpg");
  EXPECT_EQ(first.name, "Turtle Check Men Navy Blue Shirt");
  EXPECT_EQ(first[Attribute::kGender], "Men");
  EXPECT_EQ(first[Attribute::kColour], "Navy Blue");
  EXPECT_EQ(first[Attribute::kType], "Shirts");
  const auto has = [](const std::vector<FashionItem>& part, const std::string& photo) {
    return std::ranges::find(part, photo, &FashionItem::photo) != part.end();
  };
  EXPECT_TRUE(has(data->test, "59263.jpg"));
  EXPECT_TRUE(has(data->validation, "48123.jpg"));
  std::set<std::string> names;
  for (const FashionItem& item : data->training) {
    names.insert(item.name);
    EXPECT_NE(item.name, "NA");
    EXPECT_NE(item.photo, "44998.jpg");
    EXPECT_GT(item.jpeg.size(), 100u);
  }
  for (const FashionItem& item : data->test) {
    EXPECT_FALSE(!item.name.empty() && names.contains(item.name)) << item.name;
  }
}

TEST(FashionData, IsMissedByName) {
  const TempDir folder;
  const auto data = train::LoadFashion(folder.File("nowhere"));
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ondine::testing
