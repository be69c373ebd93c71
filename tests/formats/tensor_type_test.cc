#include "formats/tensor_type.h"

#include <gtest/gtest.h>

#include <vector>

namespace ondine::formats {
namespace {

TEST(TensorType, KnowsItsNumbersOnly) {
  int known = 0;
  for (std::uint32_t number = 0; number < 1000; ++number) {
    const auto info = FindTensorType(number);
    if (!info) continue;
    ++known;
    EXPECT_FALSE(info->name.empty());
    EXPECT_GT(info->block_size, 0);
    EXPECT_GT(info->bytes_per_block, 0);
  }
  EXPECT_EQ(known, 35);
  EXPECT_EQ(Describe(TensorType::kQ4_1).name, "Q4_1");
  EXPECT_EQ(Describe(TensorType::kQ4_1).bytes_per_block, 20);
}

TEST(StoredBytes, CountsWholeBlocks) {
  EXPECT_EQ(StoredBytes(TensorType::kF16, std::vector<std::int64_t>{3, 5}).value(), 30u);
  EXPECT_EQ(StoredBytes(TensorType::kQ6_K, std::vector<std::int64_t>{512, 2, 3}).value(), 2520u);
  EXPECT_EQ(StoredBytes(TensorType::kQ6_K, std::vector<std::int64_t>{128, 2}).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ondine::formats
