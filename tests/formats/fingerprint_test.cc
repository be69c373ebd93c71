#include "formats/fingerprint.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/temp_dir.h"

namespace ondine::formats {
namespace {

// The parts of a model that its fingerprint is made of, with one tensor that is hashed whole and
// one that is not.
struct Model {
  std::string name = "a name";
  std::string architecture = "llama";
  std::vector<std::string> tokens = {"ab", "c"};
  std::string tensor = "w";
  std::vector<std::int64_t> shape = {4, 2};
  std::vector<float> small = std::vector<float>(8, 1.0f);
  std::vector<float> large = std::vector<float>(100000, 1.0f);
};

std::string FingerprintOf(const Model& model) {
  const ondine::testing::TempDir dir;
  GgufWriter writer;
  writer.Set("general.name", model.name);
  writer.Set("general.architecture", model.architecture);
  writer.Set("tokenizer.ggml.tokens", model.tokens);
  writer.Add(model.tensor, TensorType::kF32, model.shape, std::as_bytes(std::span(model.small)));
  const std::int64_t large[] = {static_cast<std::int64_t>(model.large.size())};
  writer.Add("large", TensorType::kF32, large, std::as_bytes(std::span(model.large)));
  EXPECT_TRUE(writer.Write(dir.File("m.gguf")));
  return Fingerprint(GgufFile::Open(dir.File("m.gguf")).value());
}

TEST(Fingerprint, IsSixteenDigitsAndStable) {
  const std::string fingerprint = FingerprintOf({});
  EXPECT_EQ(fingerprint.size(), 16u);
  EXPECT_EQ(fingerprint.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(FingerprintOf({}), fingerprint);
}

TEST(Fingerprint, DoesNotDependOnTheDescription) {
  Model renamed;
  renamed.name = "another name";
  EXPECT_EQ(FingerprintOf(renamed), FingerprintOf({}));
}

TEST(Fingerprint, ChangesWithEverythingThatMatters) {
  const std::string fingerprint = FingerprintOf({});
  Model model;
  model.architecture = "qwen2";
  EXPECT_NE(FingerprintOf(model), fingerprint);
  model = {};
  model.tokens = {"a", "bc"};
  EXPECT_NE(FingerprintOf(model), fingerprint);
  model = {};
  model.tensor = "v";
  EXPECT_NE(FingerprintOf(model), fingerprint);
  model = {};
  model.shape = {2, 4};
  EXPECT_NE(FingerprintOf(model), fingerprint);
  model = {};
  model.small[3] = 2.0f;
  EXPECT_NE(FingerprintOf(model), fingerprint);
  for (const std::size_t end : {std::size_t{0}, model.large.size() - 1}) {
    model = {};
    model.large[end] = 2.0f;
    EXPECT_NE(FingerprintOf(model), fingerprint);
  }
}

}  // namespace
}  // namespace ondine::formats
