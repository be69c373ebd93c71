// A tiny model as the engine and the training component see it.
#ifndef ONDINE_TESTS_TRAIN_TWIN_FIXTURE_H_
#define ONDINE_TESTS_TRAIN_TWIN_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "models/decoder.h"
#include "models/tiny_model.h"
#include "train/token_tree.h"

namespace ondine::testing {

inline std::shared_ptr<const models::Decoder> LoadTiny(const TinyModel& model,
                                                       compute::ThreadPool& pool) {
  const TempDir folder;
  const std::string path = folder.File("tiny.gguf");
  EXPECT_TRUE(WriteTinyModel(model, path));
  auto file = formats::GgufFile::Open(path);
  EXPECT_TRUE(file) << file.error().ToString();
  auto decoder = models::Decoder::Load(*file, pool);
  EXPECT_TRUE(decoder) << decoder.error().ToString();
  return *decoder;
}

inline std::vector<std::int32_t> SomeTokens(int count, int seed = 11) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 37 + seed) % 256);
  return tokens;
}

// A text without branches.
inline train::TokenTree Straight(std::vector<std::int32_t> tokens) {
  train::TokenTree tree;
  tree.tokens = std::move(tokens);
  for (std::size_t i = 0; i < tree.tokens.size(); ++i) {
    tree.positions.push_back(static_cast<std::int32_t>(i));
    tree.branches.push_back(0);
  }
  return tree;
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_TWIN_FIXTURE_H_
