// What the tests of evaluations share: a tiny model whose tokens are bytes, and essays.
#ifndef ONDINE_TESTS_EVAL_FIXTURE_H_
#define ONDINE_TESTS_EVAL_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "base/temp_dir.h"
#include "models/tiny_model.h"
#include "ondine/model.h"

namespace ondine::eval {

inline void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// Sentences that are all different: "Sentence 17 tells of nothing much."
inline std::string Sentences(int first, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "Sentence " + std::to_string(first + i) + " tells of nothing much. ";
  }
  return text;
}

inline int Count(std::string_view text, std::string_view part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

class EvalTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const ondine::testing::TempDir folder;
    const std::string path = folder.File("tiny.gguf");
    ASSERT_TRUE(ondine::testing::WriteTinyModel({}, path));
    ModelOptions options;
    options.threads = 1;
    auto loaded = Model::Load(path, options);
    ASSERT_TRUE(loaded) << loaded.error().ToString();
    model_ = *loaded;
  }
  static void TearDownTestSuite() { model_.reset(); }

  // The folder to name as `data`.
  std::string data() const { return data_.path().string(); }
  std::filesystem::path essays() const { return data_.path() / "longctx" / "PaulGrahamEssays"; }

  static inline std::shared_ptr<const Model> model_;
  ondine::testing::TempDir data_;
};

}  // namespace ondine::eval

#endif  // ONDINE_TESTS_EVAL_FIXTURE_H_
