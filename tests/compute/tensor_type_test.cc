// The table of formats/ restates ggml's, so that reading files needs no ggml; here they are
// compared.
#include "formats/tensor_type.h"

#include <ggml.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace ondine::formats {
namespace {

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

TEST(TensorTypeTest, EqualsGgmlsTable) {
  int known = 0;
  for (std::uint32_t number = 0; number < GGML_TYPE_COUNT; ++number) {
    const auto info = FindTensorType(number);
    const auto type = static_cast<ggml_type>(number);
    const bool in_use = ggml_type_size(type) > 0;
    ASSERT_EQ(info.has_value(), in_use) << number;
    if (!info) continue;
    ++known;
    EXPECT_EQ(info->block_size, ggml_blck_size(type)) << info->name;
    EXPECT_EQ(static_cast<std::size_t>(info->bytes_per_block), ggml_type_size(type)) << info->name;
    EXPECT_EQ(Upper(std::string(info->name)), Upper(ggml_type_name(type)));
  }
  EXPECT_GE(known, 33);
}

TEST(TensorTypeTest, UnknownNumbersAreNoTypes) {
  EXPECT_FALSE(FindTensorType(4).has_value());  // removed from the format
  EXPECT_FALSE(FindTensorType(GGML_TYPE_COUNT).has_value());
  EXPECT_FALSE(FindTensorType(0xffffffff).has_value());
}

}  // namespace
}  // namespace ondine::formats
