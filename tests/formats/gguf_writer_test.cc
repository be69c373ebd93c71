#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temp_dir.h"
#include "formats/gguf.h"

namespace ondine::formats {
namespace {

using ::testing::HasSubstr;

using Shape = std::vector<std::int64_t>;

class GgufWriterTest : public ::testing::Test {
 protected:
  GgufFile WriteAndOpen(const GgufWriter& writer) {
    const Status written = writer.Write(path_);
    EXPECT_TRUE(written) << written.error().ToString();
    auto file = GgufFile::Open(path_);
    EXPECT_TRUE(file) << file.error().ToString();
    return std::move(file).value();
  }

  ondine::testing::TempDir dir_;
  const std::string path_ = dir_.File("out.gguf");
};

TEST_F(GgufWriterTest, WritesEveryKindOfValue) {
  const std::vector<std::pair<std::string, GgufValue>> values = {
      {"small", std::int64_t{-5}},
      {"large", std::int64_t{-5000000000}},
      {"unsigned", std::uint64_t{5}},
      {"large unsigned", ~std::uint64_t{0}},
      {"float", 0.25},
      {"yes", true},
      {"no", false},
      {"text", std::string("with\0zero", 9)},
      {"empty", std::string()},
      {"ints", std::vector<std::int64_t>{-1, 2}},
      {"long ints", std::vector<std::int64_t>{1, 5000000000}},
      {"uints", std::vector<std::uint64_t>{1, 2}},
      {"long uints", std::vector<std::uint64_t>{~std::uint64_t{0}}},
      {"floats", std::vector<float>{1.5f, -2.0f}},
      {"strings", std::vector<std::string>{"a", "", "ccc"}},
      {"nothing", std::vector<std::string>{}},
  };
  GgufWriter writer;
  for (const auto& [key, value] : values) writer.Set(key, value);
  const GgufFile file = WriteAndOpen(writer);
  EXPECT_EQ(file.metadata().size(), values.size());
  for (const auto& [key, value] : values) {
    ASSERT_NE(file.Find(key), nullptr) << key;
    EXPECT_EQ(*file.Find(key), value) << key;
  }
}

// llama.cpp looks for uint32, int32 and float32 and refuses other widths.
TEST_F(GgufWriterTest, WritesTheWidthsThatOthersRead) {
  GgufWriter writer;
  writer.Set("k", 0.1);
  writer.Set("n", std::uint64_t{7});
  writer.Set("t", std::vector<std::int64_t>{1, 3});
  WriteAndOpen(writer);
  const std::string text = base::ReadFile(path_).value();
  const auto type_of = [&](char key) {
    // The key's length, the key itself, then the type.
    const std::string name = std::string("\1\0\0\0\0\0\0\0", 8) + key;
    const std::size_t at = text.find(name);
    return at == std::string::npos ? -1 : text[at + name.size()];
  };
  EXPECT_EQ(type_of('k'), 6);
  EXPECT_EQ(type_of('n'), 4);
  EXPECT_EQ(type_of('t'), 9);
  EXPECT_EQ(text[text.find('t', 24) + 5], 5);
}

TEST_F(GgufWriterTest, WritesTensorsAlignedAndWhole) {
  for (const std::uint64_t alignment : {32u, 8u, 256u, 512u}) {
    GgufWriter writer;
    if (alignment == 8 || alignment == 256) writer.Set("general.alignment", alignment);
    // Of the kind that a file may have had.
    if (alignment == 512) writer.Set("general.alignment", std::int64_t{512});
    const std::vector<std::byte> odd(3 * 20, std::byte{7});
    const std::array<float, 6> floats = {1, 2, 3, 4, 5, 6};
    writer.Add("odd", TensorType::kQ4_1, Shape{32, 3}, odd);
    writer.Add("floats", TensorType::kF32, Shape{3, 1, 2, 1}, std::as_bytes(std::span(floats)));
    writer.Add("again", TensorType::kQ4_1, Shape{96}, odd);
    const GgufFile file = WriteAndOpen(writer);
    ASSERT_EQ(file.tensors().size(), 3u);
    EXPECT_EQ(file.tensors()[1].name, "floats");
    EXPECT_EQ(file.tensors()[1].dims, 4);
    EXPECT_EQ(std::memcmp(file.tensors()[1].data.data(), floats.data(), sizeof(floats)), 0);
    EXPECT_TRUE(std::ranges::equal(file.FindTensor("again")->data, odd));
    for (const GgufTensor& tensor : file.tensors()) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data.data()) % alignment, 0u);
    }
    EXPECT_EQ(file.file_size() % alignment, 0u);
  }
}

TEST_F(GgufWriterTest, RefusesTensorsThatContradictThemselves) {
  const std::vector<std::byte> data(64);
  const auto error = [&](const GgufWriter& writer) {
    const Status status = writer.Write(path_);
    EXPECT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    return status.error().message;
  };
  const auto one = [&](TensorType type, const Shape& shape) {
    GgufWriter writer;
    writer.Add("w", type, shape, data);
    return error(writer);
  };
  EXPECT_THAT(one(TensorType::kF32, {15}), HasSubstr("tensor 'w' has 64 bytes of data"));
  EXPECT_THAT(one(TensorType::kF32, {}), HasSubstr("0 dimensions"));
  EXPECT_THAT(one(TensorType::kF32, {1, 1, 1, 1, 16}), HasSubstr("5 dimensions"));
  EXPECT_THAT(one(TensorType::kF32, {-16}), HasSubstr("length -16"));
  EXPECT_THAT(one(TensorType::kQ8_0, {16}), HasSubstr("Q8_0 block"));
  EXPECT_THAT(one(static_cast<TensorType>(31), {16}), HasSubstr("type number 31"));

  GgufWriter twice;
  twice.Add("w", TensorType::kF32, Shape{16}, data);
  twice.Add("w", TensorType::kF32, Shape{16}, data);
  EXPECT_THAT(error(twice), HasSubstr("added twice"));

  for (const GgufValue& wrong : {GgufValue(std::uint64_t{24}), GgufValue(std::int64_t{-32}),
                                 GgufValue(32.0), GgufValue(std::string("32"))}) {
    GgufWriter alignment;
    alignment.Set("general.alignment", wrong);
    EXPECT_THAT(error(alignment), HasSubstr("general.alignment"));
  }
  EXPECT_EQ(base::ReadFile(path_).error().code, ErrorCode::kNotFound);
}

TEST_F(GgufWriterTest, PassesTheErrorsOfFilesOn) {
  EXPECT_EQ(GgufWriter().Write("/dev/full").error().code, ErrorCode::kIo);
  EXPECT_EQ(GgufWriter().Write(dir_.File("no/file")).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ondine::formats
