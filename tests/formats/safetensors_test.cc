#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "base/temp_dir.h"
#include "formats/safetensors_bytes.h"

namespace ondine::formats {
namespace {

using ::ondine::testing::SafetensorsBytes;
using ::ondine::testing::SafetensorsParts;
using ::ondine::testing::Stored;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Result<SafetensorsFile> Parse(const std::string& bytes) {
  return SafetensorsFile::Parse(std::as_bytes(std::span(bytes)), "a.safetensors");
}

// One line that names the file, of the given code and with the given text.
void ExpectError(const std::string& bytes, ErrorCode code, const std::string& text) {
  const auto file = Parse(bytes);
  ASSERT_FALSE(file) << "expected: " << text;
  EXPECT_EQ(file.error().code, code) << file.error().message;
  EXPECT_EQ(file.error().context, "a.safetensors");
  EXPECT_THAT(file.error().message, AllOf(HasSubstr(text), Not(HasSubstr("\n"))));
}

// Of a header with one tensor "a" like this, before 4 bytes of data.
void ExpectErrorOf(const std::string& tensor, const std::string& text) {
  ExpectError(SafetensorsBytes("{\"a\":" + tensor + "}", "1234"), ErrorCode::kCorrupt, text);
}

TEST(Safetensors, TensorsAreFoundWithTypeShapeAndNumbers) {
  SafetensorsParts parts;
  parts.tensors["f64"] = {"F64", {2}, Stored<double>({1.5, -2})};
  parts.tensors["f32"] = {"F32", {1, 2, 1}, Stored<float>({3, -0.25f})};
  parts.tensors["f16"] = {"F16", {2}, Stored<std::uint16_t>({0x3C00, 0xC100})};
  parts.tensors["bf16"] = {"BF16", {2}, Stored<std::uint16_t>({0x3F80, 0xC020})};
  parts.tensors["one"] = {"F32", {}, Stored<float>({7})};
  parts.tensors["none"] = {"F32", {3, 0}, ""};
  parts.tensors["odd"] = {"U8", {3}, "abc"};  // so that nothing behind it is aligned
  const std::string bytes = parts.Bytes();
  const auto file = Parse(bytes);
  ASSERT_TRUE(file) << file.error().ToString();
  std::map<std::string, std::vector<float>> values;
  for (const SafetensorsTensor& tensor : file->tensors()) {
    EXPECT_EQ(tensor.type, parts.tensors.at(tensor.name).type);
    EXPECT_EQ(tensor.shape, parts.tensors.at(tensor.name).shape);
    if (tensor.name != "odd") values[tensor.name] = file->Floats(tensor).value();
  }
  EXPECT_EQ(file->tensors().size(), parts.tensors.size());
  EXPECT_THAT(values.at("f64"), ElementsAre(1.5f, -2));
  EXPECT_THAT(values.at("f32"), ElementsAre(3, -0.25f));
  EXPECT_THAT(values.at("f16"), ElementsAre(1, -2.5f));
  EXPECT_THAT(values.at("bf16"), ElementsAre(1, -2.5f));
  EXPECT_THAT(values.at("one"), ElementsAre(7));
  EXPECT_THAT(values.at("none"), ElementsAre());
}

TEST(Safetensors, HalvesAreReadOverTheirWholeRange) {
  SafetensorsParts parts;
  parts.tensors["a"] = {
      "F16", {7}, Stored<std::uint16_t>({0x0001, 0x03FF, 0x0400, 0x7BFF, 0xFC00, 0x7E00, 0x8000})};
  const std::string bytes = parts.Bytes();
  const auto file = Parse(bytes);
  const std::vector<float> values = file->Floats(file->tensors().front()).value();
  EXPECT_EQ(values[0], 0x1p-24f);
  EXPECT_EQ(values[1], 0x3FFp-24f);
  EXPECT_EQ(values[2], 0x1p-14f);
  EXPECT_EQ(values[3], 65504.0f);
  EXPECT_EQ(values[4], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(values[5]));
  EXPECT_TRUE(values[6] == 0 && std::signbit(values[6]));
}

TEST(Safetensors, OtherTypesAreRefusedByName) {
  SafetensorsParts parts;
  parts.tensors["ids"] = {"I64", {1}, Stored<std::int64_t>({1})};
  const std::string bytes = parts.Bytes();
  const auto file = Parse(bytes);
  const auto floats = file->Floats(file->tensors().front());
  ASSERT_FALSE(floats);
  EXPECT_EQ(floats.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(floats.error().message, AllOf(HasSubstr("'ids'"), HasSubstr("'I64'")));
  ExpectError(SafetensorsBytes(R"({"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}})", "1234"),
              ErrorCode::kUnsupported, "'F4'");
}

TEST(Safetensors, FilesAreMapped) {
  const testing::TempDir folder;
  SafetensorsParts parts;
  parts.tensors["a"] = {"F32", {1}, Stored<float>({7})};
  std::ofstream(folder.File("x"), std::ios::binary) << parts.Bytes();
  const auto file = SafetensorsFile::Open(folder.File("x"));
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_THAT(file->Floats(file->tensors().front()).value(), ElementsAre(7));
  EXPECT_EQ(SafetensorsFile::Open(folder.File("none")).error().code, ErrorCode::kNotFound);
}

TEST(Safetensors, CutOffAnywhereIsAnError) {
  SafetensorsParts parts;
  parts.tensors["a"] = {"F32", {2}, Stored<float>({1, 2})};
  parts.tensors["b"] = {"F16", {1}, Stored<std::uint16_t>({0x3C00})};
  const std::string bytes = parts.Bytes();
  ASSERT_TRUE(Parse(bytes));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto file = Parse(bytes.substr(0, length));
    ASSERT_FALSE(file) << length;
    EXPECT_EQ(file.error().code, ErrorCode::kCorrupt);
  }
  ExpectError(bytes + "x", ErrorCode::kCorrupt, "byte 10 of the data belongs to no tensor");
}

TEST(Safetensors, HeadersThatAreNone) {
  ExpectError("", ErrorCode::kCorrupt, "truncated");
  ExpectError(std::string(8, '\xFF'), ErrorCode::kCorrupt, "not a safetensors file");
  ExpectError("GGUF\3" + std::string(100, '\0'), ErrorCode::kCorrupt, "not a safetensors file");
  for (const char* header : {"", "[]", "3", "{", "{\"a\":}", "{} x", "\xFF"}) {
    ExpectError(SafetensorsBytes(header, ""), ErrorCode::kCorrupt, "no JSON object");
  }
  EXPECT_TRUE(Parse(SafetensorsBytes("{}   ", "")));  // writers pad with blanks
}

TEST(Safetensors, DeepHeadersDoNotExhaustTheStack) {
  const std::size_t depth = 200'000;
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    const std::string nest = std::string(depth, '[') + std::string(depth, ']');
    ExpectErrorOf("{\"" + std::string(key) + "\":" + nest + "}", "'a'");
  }
  ExpectErrorOf(std::string(depth, '['), "no JSON object");
}

TEST(Safetensors, DescriptionsThatAreIncompleteOrLie) {
  ExpectErrorOf("1", "'a'");
  ExpectErrorOf(R"({"shape":[1],"data_offsets":[0,4]})", "dtype");
  ExpectErrorOf(R"({"dtype":7,"shape":[1],"data_offsets":[0,4]})", "dtype");
  ExpectErrorOf(R"({"dtype":"F32","data_offsets":[0,4]})", "shape");
  ExpectErrorOf(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "shape");
  ExpectErrorOf(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})", "shape");
  ExpectErrorOf(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]})", "shape");
  ExpectErrorOf(R"({"dtype":"F32","shape":[1]})", "data_offsets");
  ExpectErrorOf(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})", "data_offsets");
  ExpectErrorOf(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", "data_offsets");
  ExpectErrorOf(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", "holds 4 bytes");
  ExpectErrorOf(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", "dtype and shape");
  // 2^62 x 4 x 4 bytes would be 0 in 64 bits.
  ExpectErrorOf(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})",
                "dtype and shape");
}

TEST(Safetensors, TensorsCoverTheDataOnce) {
  const auto two = [](const std::string& a, const std::string& b) {
    return SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
                                R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}",
                            "1234");
  };
  EXPECT_TRUE(Parse(two("[0,2]", "[2,4]")));
  EXPECT_TRUE(Parse(two("[2,4]", "[0,2]")));
  ExpectError(two("[0,2]", "[1,3]"), ErrorCode::kCorrupt, "share byte 1");
  ExpectError(two("[0,2]", "[0,2]"), ErrorCode::kCorrupt, "share byte 0");
  ExpectErrorOf(R"({"dtype":"U8","shape":[3],"data_offsets":[1,4]})", "byte 0");
  ExpectErrorOf(R"({"dtype":"U8","shape":[3],"data_offsets":[0,3]})", "byte 3");
  ExpectError(SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                               R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                               "12"),
              ErrorCode::kCorrupt, "'a' appears twice");
}

}  // namespace
}  // namespace ondine::formats
