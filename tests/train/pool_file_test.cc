#include "train/pool_file.h"

#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "formats/gguf.h"

namespace ondine::testing {
namespace {

TEST(PoolFile, HoldsWhatItWasGiven) {
  const TempDir folder;
  const std::string path = folder.File("pool.gguf");
  train::PoolDescription description;
  description.shape = {.adapters = 2, .rank = 3, .blend = train::Blend::kProduct};
  description.mode = train::Mode::kIndependent;
  description.name = "two tasks";
  description.architecture = "llama";
  description.base_fingerprint = "0123";
  description.provenance = "made up";
  const train::TaskSpace space{{1, 2, 3, 4}, {4, {1, 0, 0, 0, 0, 1, 0, 0}}};
  const train::TrainedAdapters adapters = {{"blk.0.attn_q.weight",
                                            {4, 5},
                                            std::vector<std::uint16_t>(2 * 3 * 4, 0x3C00),
                                            std::vector<std::uint16_t>(2 * 5 * 3, 0x4000)}};
  ASSERT_TRUE(WritePool(description, space, adapters, path));

  const auto file = formats::GgufFile::Open(path);
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_EQ(*file->FindString("general.type"), "adapter-pool");
  EXPECT_EQ(*file->FindString("pool.blend"), "product");
  EXPECT_EQ(*file->FindString("pool.training"), "independent");
  EXPECT_EQ(*file->FindInt("pool.adapters"), 2);
  EXPECT_EQ(*file->FindNumber("pool.lora_alpha"), 16.0);
  const formats::GgufTensor* indicators = file->FindTensor("pool.indicators");
  ASSERT_NE(indicators, nullptr);
  EXPECT_EQ(indicators->shape, (std::array<std::int64_t, 4>{4, 2, 1, 1}));
  const formats::GgufTensor* a = file->FindTensor("blk.0.attn_q.weight.lora_a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->type, formats::TensorType::kF16);
  EXPECT_EQ(a->shape, (std::array<std::int64_t, 4>{4, 3, 2, 1}));
  const formats::GgufTensor* b = file->FindTensor("blk.0.attn_q.weight.lora_b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::array<std::int64_t, 4>{3, 5, 2, 1}));
}

}  // namespace
}  // namespace ondine::testing
