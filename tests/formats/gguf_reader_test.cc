#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "formats/gguf.h"
#include "formats/gguf_bytes.h"

namespace ondine::formats {
namespace {

using ondine::testing::GgufBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4_1 = 3;
constexpr std::uint64_t kHuge = std::uint64_t{1} << 60;

Result<GgufFile> Parse(const GgufBytes& bytes) {
  return GgufFile::Parse(bytes.bytes(), "m.gguf");
}

// One line that names the file, of the given code and with the given text.
void ExpectError(const Result<GgufFile>& result, ErrorCode code, const std::string& text) {
  ASSERT_FALSE(result) << "expected: " << text;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_EQ(result.error().context, "m.gguf");
  EXPECT_THAT(result.error().message, AllOf(HasSubstr(text), Not(HasSubstr("\n"))));
}

void ExpectError(const GgufBytes& bytes, ErrorCode code, const std::string& text) {
  ExpectError(Parse(bytes), code, text);
}

TEST(GgufReader, ReadsEveryKindOfValue) {
  GgufBytes bytes = GgufBytes::Header(0, 14);
  bytes.Key("u8", 0).Number<std::uint8_t>(200);
  bytes.Key("i8", 1).Number<std::int8_t>(-100);
  bytes.Key("u16", 2).Number<std::uint16_t>(60000);
  bytes.Key("i16", 3).Number<std::int16_t>(-30000);
  bytes.Key("u32", 4).Number<std::uint32_t>(4000000000);
  bytes.Key("i32", 5).Number<std::int32_t>(-2000000000);
  bytes.Key("f32", 6).Number(1.5f);
  bytes.Key("bool", 7).Number<std::uint8_t>(1);
  bytes.Key("string", "text");
  bytes.Key("u64", 10).Number(std::numeric_limits<std::uint64_t>::max());
  bytes.Key("i64", 11).Number(std::numeric_limits<std::int64_t>::min());
  bytes.Key("f64", 12).Number(0.1);
  bytes.Array("bools", 7, 2).Number<std::uint8_t>(0).Number<std::uint8_t>(1);
  bytes.Array("none", 8, 0);
  const auto file = Parse(bytes);
  ASSERT_TRUE(file) << file.error().ToString();

  using U = std::uint64_t;
  using I = std::int64_t;
  EXPECT_EQ(*file->Find("u8"), GgufValue(U{200}));
  EXPECT_EQ(*file->Find("i8"), GgufValue(I{-100}));
  EXPECT_EQ(*file->Find("u16"), GgufValue(U{60000}));
  EXPECT_EQ(*file->Find("i16"), GgufValue(I{-30000}));
  EXPECT_EQ(*file->Find("u32"), GgufValue(U{4000000000}));
  EXPECT_EQ(*file->Find("i32"), GgufValue(I{-2000000000}));
  EXPECT_EQ(*file->Find("f32"), GgufValue(1.5));
  EXPECT_EQ(*file->Find("bool"), GgufValue(true));
  EXPECT_EQ(*file->Find("string"), GgufValue(std::string("text")));
  EXPECT_EQ(*file->Find("u64"), GgufValue(std::numeric_limits<U>::max()));
  EXPECT_EQ(*file->Find("i64"), GgufValue(std::numeric_limits<I>::min()));
  EXPECT_EQ(*file->Find("f64"), GgufValue(0.1));
  EXPECT_EQ(*file->Find("bools"), GgufValue(std::vector<U>{0, 1}));
  EXPECT_EQ(*file->Find("none"), GgufValue(std::vector<std::string>{}));
  EXPECT_EQ(file->Find("absent"), nullptr);
  EXPECT_EQ(file->file_size(), bytes.text().size());
}

TEST(GgufReader, LooksValuesUpByTheirType) {
  GgufBytes bytes = GgufBytes::Header(0, 7);
  bytes.Key("u64", GgufBytes::kUint64).Number(std::numeric_limits<std::uint64_t>::max());
  bytes.Key("u32", GgufBytes::kUint32).Number<std::uint32_t>(7);
  bytes.Key("f32", GgufBytes::kFloat32).Number(0.5f);
  bytes.Key("string", "text");
  bytes.Array("u32s", GgufBytes::kUint32, 2).Number<std::uint32_t>(3).Number<std::uint32_t>(4);
  bytes.Array("floats", GgufBytes::kFloat32, 1).Number(2.5f);
  bytes.Array("strings", GgufBytes::kString, 2).Text("a").Text("");
  const auto file = Parse(bytes);
  ASSERT_TRUE(file) << file.error().ToString();

  EXPECT_EQ(file->FindInt("u32").value(), 7);
  EXPECT_EQ(file->FindNumber("u32").value(), 7.0);
  EXPECT_EQ(file->FindNumber("f32").value(), 0.5);
  EXPECT_EQ(file->FindString("string").value(), "text");
  EXPECT_EQ(file->FindInts("u32s").value(), (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(*file->FindFloats("floats").value(), std::vector<float>{2.5f});
  EXPECT_EQ(*file->FindStrings("strings").value(), (std::vector<std::string>{"a", ""}));

  EXPECT_EQ(file->FindInt("absent").value(), std::nullopt);
  EXPECT_EQ(file->FindBool("absent").value(), std::nullopt);
  EXPECT_EQ(file->FindStrings("absent").value(), nullptr);

  EXPECT_THAT(file->FindInt("u64").error().message, HasSubstr("63 bits"));
  const Error error = file->FindBool("string").error();
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_EQ(error.ToString(), "m.gguf: key 'string' is a string, it should be a boolean");
  EXPECT_FALSE(file->FindInt("f32"));
  EXPECT_FALSE(file->FindNumber("string"));
  EXPECT_FALSE(file->FindString("u32"));
  EXPECT_FALSE(file->FindFloats("strings"));
  EXPECT_FALSE(file->FindStrings("floats"));
  EXPECT_FALSE(file->FindInts("floats"));
}

TEST(GgufReader, PlacesTensors) {
  GgufBytes bytes = GgufBytes::Header(2, 1, 2);  // version 2 is read as version 3
  bytes.Key("general.alignment", GgufBytes::kUint32).Number<std::uint32_t>(64);
  bytes.Tensor("b", {64, 3}, kQ4_1, 64).Tensor("a", {5}, kF32, 0).Data(64 + 6 * 20, 64);
  const auto file = Parse(bytes);
  ASSERT_TRUE(file) << file.error().ToString();
  ASSERT_EQ(file->tensors().size(), 2u);
  const GgufTensor* b = file->FindTensor("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, TensorType::kQ4_1);
  EXPECT_EQ(b->dims, 2);
  EXPECT_THAT(b->shape, ::testing::ElementsAre(64, 3, 1, 1));
  EXPECT_EQ(b->Elements(), 192);
  EXPECT_EQ(b->data.size(), 120u);
  EXPECT_EQ(b->data.data() + b->data.size(), bytes.bytes().data() + bytes.bytes().size());
  EXPECT_EQ(file->FindTensor("a")->data.size(), 20u);
  EXPECT_EQ(file->FindTensor("c"), nullptr);
}

TEST(GgufReader, SaysWhatIsNoGgufFile) {
  ExpectError(GgufBytes().Raw("# A text\nfile"), ErrorCode::kCorrupt,
              "not a GGUF file (starts with '# A text\\x0afile')");
  ExpectError(GgufBytes(), ErrorCode::kCorrupt, "not a GGUF file");
  ExpectError(GgufBytes().Raw("GGUF"), ErrorCode::kCorrupt, "truncated");
  ExpectError(GgufBytes().Raw("GGUF").Number<std::uint32_t>(3), ErrorCode::kCorrupt, "truncated");
  ExpectError(GgufBytes::Header(0, 0, 1), ErrorCode::kUnsupported, "GGUF version 1");
  ExpectError(GgufBytes::Header(0, 0, 4), ErrorCode::kUnsupported, "GGUF version 4");
  ExpectError(GgufBytes::Header(0, 0, 0), ErrorCode::kUnsupported, "GGUF version 0");
  ExpectError(GgufBytes::Header(0, 0, 3u << 24), ErrorCode::kUnsupported, "big-endian");
}

TEST(GgufReader, BelievesNoCountThatTheFileHasNoRoomFor) {
  ExpectError(GgufBytes::Header(0, kHuge), ErrorCode::kCorrupt, "metadata keys");
  ExpectError(GgufBytes::Header(kHuge, 0), ErrorCode::kCorrupt, "tensors");
  ExpectError(GgufBytes::Header(0, 2).Key("a", "b"), ErrorCode::kCorrupt, "metadata keys");
  for (const std::uint32_t element : {0u, 4u, 6u, 7u, 8u, 10u, 12u}) {
    ExpectError(GgufBytes::Header(0, 1).Array("list", element, kHuge).Raw("abcdefgh"),
                ErrorCode::kCorrupt, "key 'list' holds an array of 1152921504606846976 elements");
  }
  ExpectError(GgufBytes::Header(0, 1).Number(kHuge).Raw("a long enough name"), ErrorCode::kCorrupt,
              "within metadata key 1 of 1");
  ExpectError(GgufBytes::Header(0, 1).Key("text", GgufBytes::kString).Number(kHuge),
              ErrorCode::kCorrupt, "the value of key 'text'");
  ExpectError(GgufBytes::Header(0, 1).Array("list", GgufBytes::kString, 2).Text("a").Number(kHuge),
              ErrorCode::kCorrupt, "string 2 of 2 of key 'list'");
}

TEST(GgufReader, RefusesBadMetadata) {
  ExpectError(GgufBytes::Header(0, 2).Key("twice", "a").Key("twice", "b"), ErrorCode::kCorrupt,
              "key 'twice' appears twice");
  ExpectError(GgufBytes::Header(0, 1).Key("odd", 13).Number(kHuge), ErrorCode::kUnsupported,
              "key 'odd' has the unknown value type 13");
  ExpectError(GgufBytes::Header(0, 1).Array("odd", 99, 1).Number(kHuge), ErrorCode::kUnsupported,
              "unknown value type 99");
  ExpectError(GgufBytes::Header(0, 1).Array("nested", GgufBytes::kArray, 1).Number(kHuge),
              ErrorCode::kUnsupported, "key 'nested' holds an array of arrays");
  ExpectError(GgufBytes::Header(0, 1).Key("flag", GgufBytes::kBool).Number<std::uint8_t>(2),
              ErrorCode::kCorrupt, "key 'flag' holds a boolean of value 2");
  ExpectError(GgufBytes::Header(0, 1).Array("flags", GgufBytes::kBool, 1).Number<std::uint8_t>(9),
              ErrorCode::kCorrupt, "key 'flags' holds a boolean of value 9");
  for (const std::uint64_t alignment : {0u, 1u, 4u, 24u, 131072u}) {
    ExpectError(
        GgufBytes::Header(0, 1).Key("general.alignment", GgufBytes::kUint64).Number(alignment),
        ErrorCode::kCorrupt, "general.alignment is " + std::to_string(alignment));
  }
  ExpectError(GgufBytes::Header(0, 1).Key("general.alignment", "32"), ErrorCode::kCorrupt,
              "key 'general.alignment' is a string");
}

TEST(GgufReader, RefusesBadShapes) {
  const auto one = [](std::initializer_list<std::uint64_t> shape, std::uint32_t type) {
    return GgufBytes::Header(1, 0).Tensor("w", shape, type, 0).Data(4096);
  };
  ExpectError(one({}, kF32), ErrorCode::kCorrupt, "tensor 'w' has 0 dimensions");
  ExpectError(one({1, 1, 1, 1, 1}, kF32), ErrorCode::kCorrupt, "tensor 'w' has 5 dimensions");
  ExpectError(one({8, 0}, kF32), ErrorCode::kCorrupt, "tensor 'w' has a dimension of length 0");
  ExpectError(one({~0ull}, kF32), ErrorCode::kCorrupt,
              "a dimension of length 18446744073709551615");
  ExpectError(one({1ull << 32, 1ull << 31}, kF32), ErrorCode::kCorrupt, "more than 2^63 elements");
  // The product of the lengths wraps around to 0.
  ExpectError(one({1ull << 32, 1ull << 32}, kF32), ErrorCode::kCorrupt, "more than 2^63 elements");
  ExpectError(one({1ull << 61}, kF32), ErrorCode::kCorrupt, "more than 2^63 bytes");
  ExpectError(one({48}, kQ4_1), ErrorCode::kCorrupt, "not a multiple of the 32 of a Q4_1 block");
  ExpectError(one({8}, 4), ErrorCode::kUnsupported, "tensor 'w' has type number 4");
  ExpectError(one({8}, 31), ErrorCode::kUnsupported, "tensor 'w' has type number 31");
  ExpectError(one({8}, ~0u), ErrorCode::kUnsupported, "tensor 'w' has type number 4294967295");
}

TEST(GgufReader, RefusesBadOffsets) {
  const auto at = [](std::uint64_t offset, std::size_t data) {
    return GgufBytes::Header(1, 0).Tensor("w", {8}, kF32, offset).Data(data);
  };
  EXPECT_TRUE(Parse(at(64, 96)));
  ExpectError(at(64, 95), ErrorCode::kCorrupt,
              "truncated: tensor 'w' needs bytes 128..160 but the file has 159: download it again");
  ExpectError(at(20, 96), ErrorCode::kCorrupt,
              "starts at offset 20, not a multiple of the alignment 32");
  ExpectError(at(1ull << 62, 96), ErrorCode::kCorrupt, "truncated: tensor 'w'");
  ExpectError(at(~0ull - 31, 96), ErrorCode::kCorrupt, "impossible offset");
  ExpectError(GgufBytes::Header(1, 0).Tensor("w", {8}, kF32, 0), ErrorCode::kCorrupt, "truncated");

  const auto two = [](const char* name, std::uint64_t offset) {
    return GgufBytes::Header(2, 0)
        .Tensor("w", {9}, kF32, 0)
        .Tensor(name, {8}, kF32, offset)
        .Data(256);
  };
  EXPECT_TRUE(Parse(two("v", 64)));
  ExpectError(two("v", 32), ErrorCode::kCorrupt, "tensors 'w' and 'v' overlap");
  ExpectError(two("w", 64), ErrorCode::kCorrupt, "tensor 'w' appears twice");
}

// A file of every construct, cut at every length, is either refused or, in the padding after its
// last byte of information, whole.
TEST(GgufReader, RefusesAFileCutAnywhere) {
  GgufBytes bytes = GgufBytes::Header(2, 4);
  bytes.Key("general.name", "cut");
  bytes.Key("n", GgufBytes::kUint32).Number<std::uint32_t>(1);
  bytes.Array("list", GgufBytes::kString, 2).Text("one").Text("two");
  bytes.Array("numbers", GgufBytes::kInt32, 2).Number<std::int32_t>(1).Number<std::int32_t>(2);
  bytes.Tensor("a", {32}, kQ4_1, 0).Tensor("b", {2, 2}, kF32, 32).Data(48);
  ASSERT_TRUE(Parse(bytes));
  for (std::size_t size = 0; size < bytes.text().size(); ++size) {
    const auto file = GgufFile::Parse(bytes.bytes().first(size), "m.gguf");
    ASSERT_FALSE(file) << size;
    EXPECT_EQ(file.error().code, ErrorCode::kCorrupt);
  }
}

// No single damaged byte brings the reader down; the sanitizers watch what it does with it.
TEST(GgufReader, SurvivesAnyDamagedByte) {
  GgufBytes bytes = GgufBytes::Header(1, 2);
  bytes.Key("general.name", "damage");
  bytes.Array("list", GgufBytes::kString, 2).Text("one").Text("two");
  bytes.Tensor("a", {32, 2}, kQ4_1, 0).Data(40);
  for (std::size_t at = 0; at < bytes.text().size() - 40; ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string damaged = bytes.text();
      damaged[at] = static_cast<char>(value);
      const auto file = GgufFile::Parse(std::as_bytes(std::span(damaged)), "m.gguf");
      if (!file) continue;
      for (const GgufTensor& tensor : file->tensors()) {
        EXPECT_LE(tensor.data.data() + tensor.data.size(),
                  std::as_bytes(std::span(damaged)).data() + damaged.size());
      }
    }
  }
}

TEST(GgufReader, QuotesHostileNames) {
  ExpectError(GgufBytes::Header(0, 1).Key("a\n\x1b[2J", 77).Number(kHuge), ErrorCode::kUnsupported,
              "key 'a\\x0a\\x1b[2J'");
}

TEST(GgufReader, OpensFilesAndPassesTheErrorsOfFilesOn) {
  const ondine::testing::TempDir dir;
  const std::string path = dir.File("m.gguf");
  EXPECT_EQ(GgufFile::Open(path).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(GgufFile::Open(dir.path().string()).error().code, ErrorCode::kIo);
  std::ofstream(path).close();
  EXPECT_EQ(GgufFile::Open(path).error().code, ErrorCode::kCorrupt);

  std::ofstream(path) << GgufBytes::Header(1, 0).Tensor("w", {1}, kF32, 0).Data(4).text();
  auto file = GgufFile::Open(path);
  ASSERT_TRUE(file) << file.error().ToString();
  const GgufFile moved = std::move(*file);
  EXPECT_EQ(moved.path(), path);
  EXPECT_EQ(moved.FindTensor("w")->data[3], std::byte{0x11});
}

TEST(GgufReader, ReadsVocabulariesOfOtherPrograms) {
  const std::filesystem::path folder = "../shared/data/tokenizers/ggml-vocab";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = GgufFile::Open(entry.path().string());
    ASSERT_TRUE(file) << file.error().ToString();
    const auto tokens = file->FindStrings("tokenizer.ggml.tokens");
    ASSERT_TRUE(tokens && *tokens != nullptr) << entry.path();
    EXPECT_GT((*tokens)->size(), 30000u) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace ondine::formats
