#include "formats/pot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace ondine::formats {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Bytes of a file where PotFile::Parse wants them: at a multiple of kPotAlignment.
class Aligned {
 public:
  explicit Aligned(std::string_view text)
      : data_(static_cast<std::byte*>(
            ::operator new(text.size() + 1, std::align_val_t(kPotAlignment)))),
        size_(text.size()) {
    std::memcpy(data_, text.data(), size_);
  }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  ~Aligned() { ::operator delete(data_, std::align_val_t(kPotAlignment)); }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_;
  std::size_t size_;
};

Result<PotFile> Parse(const std::string& text) {
  const Aligned aligned(text);
  return PotFile::Parse(aligned.bytes(), "x.pot");
}

class PotFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    writer_.Set("policy", std::string("infinipot"));
    writer_.Set("capacity", std::int64_t{2048});
    writer_.Set("alpha", 0.5);
    writer_.Set("ring", true);
    writer_.AddSection("orig", std::as_bytes(std::span(orig_)));
    writer_.AddSection("empty", {});
    writer_.AddSection("nll", std::as_bytes(std::span(nll_)));
  }

  std::string Written() {
    const Status status = writer_.Write(path_);
    EXPECT_TRUE(status) << status.error().ToString();
    return base::ReadFile(path_).value();
  }

  const std::array<std::int32_t, 5> orig_ = {0, 1, 17, 40, 99};
  const std::array<float, 20> nll_ = {0.25f, -1.0f, 3.0f};
  PotFileWriter writer_;
  ondine::testing::TempDir dir_;
  const std::string path_ = dir_.File("x.pot");
};

TEST_F(PotFileTest, GivesBackWhatWasWritten) {
  Written();
  const auto file = PotFile::Open(path_);
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_EQ(file->path(), path_);
  EXPECT_EQ(file->values().size(), 4u);
  EXPECT_EQ(file->GetString("policy").value(), "infinipot");
  EXPECT_EQ(file->GetInt("capacity").value(), 2048);
  EXPECT_EQ(file->GetNumber("alpha").value(), 0.5);
  EXPECT_EQ(file->GetBool("ring").value(), true);
  EXPECT_THAT(file->section_names(), ElementsAre("orig", "empty", "nll"));
  EXPECT_TRUE(std::ranges::equal(file->Array<std::int32_t>("orig", 5).value(), orig_));
  EXPECT_TRUE(std::ranges::equal(file->Array<float>("nll", 20).value(), nll_));
  EXPECT_EQ(file->Section("empty").value().size(), 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file->Section("nll")->data()) % kPotAlignment, 0u);

  file->Release(*file->Section("nll"));
  EXPECT_TRUE(std::ranges::equal(file->Array<float>("nll", 20).value(), nll_));
}

TEST_F(PotFileTest, HoldsNothingAtAll) {
  ASSERT_TRUE(PotFileWriter().Write(path_));
  const auto file = PotFile::Open(path_);
  ASSERT_TRUE(file) << file.error().ToString();
  EXPECT_TRUE(file->values().empty());
  EXPECT_TRUE(file->section_names().empty());
}

TEST_F(PotFileTest, WritesStreamsPieceByPiece) {
  writer_.AddSection("stream", 3 * 1000, [](base::FileSink& sink) -> Status {
    for (int i = 0; i < 3; ++i) {
      const std::vector<std::byte> piece(1000, std::byte(i));
      if (auto status = sink.Write(piece); !status) return status;
    }
    return {};
  });
  Written();
  const PotFile file = PotFile::Open(path_).value();
  const auto section = file.Section("stream").value();
  ASSERT_EQ(section.size(), 3000u);
  EXPECT_EQ(section[999], std::byte{0});
  EXPECT_EQ(section[1000], std::byte{1});
  EXPECT_EQ(section[2999], std::byte{2});
}

TEST_F(PotFileTest, IsTheSameFileEveryTime) {
  EXPECT_EQ(Written(), Written());
}

TEST_F(PotFileTest, LeavesTheOldFileIfASectionFails) {
  const std::string old = Written();
  PotFileWriter failing;
  failing.AddSection("s", 8, [](base::FileSink&) -> Status {
    return MakeError(ErrorCode::kCancelled, "stopped");
  });
  EXPECT_EQ(failing.Write(path_).error().code, ErrorCode::kCancelled);

  PotFileWriter wrong;
  wrong.AddSection("s", 8,
                   [](base::FileSink& sink) { return sink.Write(std::vector<std::byte>(7)); });
  const Status status = wrong.Write(path_);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(status.error().message, HasSubstr("'s' was announced with 8 bytes and has 7"));

  writer_.AddSection("orig", {});
  EXPECT_THAT(writer_.Write(path_).error().message, HasSubstr("'orig' was added twice"));
  EXPECT_EQ(base::ReadFile(path_).value(), old);

  PotFileWriter large;
  large.Set("text", std::string(65 << 20, 'x'));
  EXPECT_THAT(large.Write(path_).error().message, HasSubstr("put long content into sections"));
}

TEST_F(PotFileTest, NamesTheFieldThatIsNotAsExpected) {
  writer_.Set("nan", std::numeric_limits<double>::quiet_NaN());
  Written();
  const PotFile file = PotFile::Open(path_).value();
  const auto corrupt = [&](const auto& result, const std::string& text) {
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(result.error().context, path_);
    EXPECT_THAT(result.error().message, HasSubstr(text));
  };
  corrupt(file.GetInt("absent"), "has no value 'absent'");
  corrupt(file.GetInt("policy"), "value 'policy' is not an integer");
  corrupt(file.GetString("capacity"), "value 'capacity' is not a string");
  corrupt(file.GetBool("capacity"), "value 'capacity' is not true or false");
  corrupt(file.GetNumber("capacity"), "value 'capacity' is not a number");
  corrupt(file.GetNumber("nan"), "value 'nan' is nan, out of range");
  corrupt(file.GetInt("capacity", 1, 1024), "value 'capacity' is 2048, outside 1..1024");
  corrupt(file.GetNumber("alpha", 0.6, 1.0), "value 'alpha' is 0.5");
  corrupt(file.Section("absent"), "has no section 'absent'");
  corrupt(file.Array<std::int32_t>("orig", 6), "section 'orig' has 20 bytes");
  corrupt(file.Array<std::int32_t>("orig", std::uint64_t{1} << 62), "section 'orig' has 20 bytes");
  corrupt(file.Array<std::int64_t>("orig", 2), "section 'orig' has 20 bytes");

  EXPECT_TRUE(file.Expect("policy", std::string("infinipot")));
  EXPECT_TRUE(file.Expect("capacity", std::int64_t{2048}));
  const Status mismatch = file.Expect("policy", std::string("window"));
  EXPECT_EQ(mismatch.error().code, ErrorCode::kMismatch);
  EXPECT_EQ(mismatch.error().message, "'policy' is 'infinipot' in the file, but 'window' here");
  EXPECT_EQ(file.Expect("absent", true).error().code, ErrorCode::kCorrupt);
}

TEST_F(PotFileTest, FindsEveryFlippedBit) {
  const std::string text = Written();
  ASSERT_TRUE(Parse(text));
  const std::size_t nll = text.size() - 8 - sizeof(nll_);
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto file = Parse(damaged);
    ASSERT_FALSE(file) << "byte " << bit / 8;
    EXPECT_THAT(file.error().message, AllOf(Not(HasSubstr("\n")), Not(HasSubstr("appears"))));
    if (bit / 8 >= nll) {
      EXPECT_THAT(file.error().message,
                  HasSubstr("damaged: section 'nll' does not match its checksum"));
    }
  }
}

TEST_F(PotFileTest, FindsEveryTruncationAndExtension) {
  const std::string text = Written();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto file = Parse(text.substr(0, size));
    ASSERT_FALSE(file) << size;
    EXPECT_EQ(file.error().code, ErrorCode::kCorrupt);
    if (size >= 32) {
      EXPECT_THAT(file.error().message, HasSubstr("truncated: it has " + std::to_string(size) +
                                                  " of " + std::to_string(text.size()) + " bytes"));
    }
  }
  EXPECT_THAT(Parse(text + "x").error().message, HasSubstr("damaged: it has"));
}

TEST_F(PotFileTest, SaysWhatIsNoPotFile) {
  EXPECT_THAT(Parse("GGUF and more").error().message,
              HasSubstr("not a .pot file (starts with 'GGUF and')"));
  EXPECT_THAT(Parse("").error().message, HasSubstr("not a .pot file"));
  std::string newer = Written();
  newer[8] = 2;
  const auto file = Parse(newer);
  EXPECT_EQ(file.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(file.error().message, HasSubstr("version 2, this program reads version 1"));
  EXPECT_EQ(PotFile::Open(dir_.File("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(PotFile::Open(dir_.path().string()).error().code, ErrorCode::kIo);
}

// Files that lie although their checksums are right.
class HostilePotTest : public ::testing::Test {
 protected:
  template <typename T>
  static void Put(std::string& out, T number) {
    out.append(reinterpret_cast<const char*>(&number), sizeof(T));
  }
  static void PutText(std::string& out, const std::string& text) {
    Put<std::uint64_t>(out, text.size());
    out += text;
  }

  // A file with this header content, its checksum and `rest`.
  static Result<PotFile> ParseFile(const std::string& content, const std::string& rest = "",
                                   std::uint32_t reserved = 0) {
    std::string text = "ONDN-POT";
    Put<std::uint32_t>(text, 1);
    Put<std::uint32_t>(text, reserved);
    const std::uint64_t header = 32 + content.size();
    Put<std::uint64_t>(text, header + 8 + rest.size());
    Put<std::uint64_t>(text, header);
    text += content;
    Put(text, base::Hash64(std::as_bytes(std::span(text))));
    return Parse(text + rest);
  }

  static void ExpectDamaged(const Result<PotFile>& file, const std::string& message) {
    ASSERT_FALSE(file) << message;
    EXPECT_EQ(file.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(file.error().message, HasSubstr(message));
  }
};

TEST_F(HostilePotTest, CountsAreNotBelieved) {
  const std::uint64_t huge = std::uint64_t{1} << 60;
  std::string content;
  ExpectDamaged(ParseFile(content), "no room for its values");
  Put(content, huge);
  ExpectDamaged(ParseFile(content), "no room for its values");
  content.clear();
  Put<std::uint64_t>(content, 0);
  Put(content, huge);
  ExpectDamaged(ParseFile(content), "no room for its sections");
}

TEST_F(HostilePotTest, ValuesAreChecked) {
  const auto one = [](const std::string& value) {
    std::string content;
    Put<std::uint64_t>(content, 1);
    PutText(content, "key");
    content += value;
    Put<std::uint64_t>(content, 0);
    return ParseFile(content);
  };
  EXPECT_TRUE(one(std::string("\3\1", 2)));
  ExpectDamaged(one(std::string("\3\2", 2)), "value 'key'");
  ExpectDamaged(one(std::string("\4\1", 2)), "value 'key'");
  ExpectDamaged(one(std::string("\0\377\377\377\377\377\377\377\377", 9)), "value 'key'");

  std::string twice;
  Put<std::uint64_t>(twice, 2);
  for (int i = 0; i < 2; ++i) {
    PutText(twice, "key");
    twice += std::string("\3\1", 2);
  }
  Put<std::uint64_t>(twice, 0);
  ExpectDamaged(ParseFile(twice), "value 'key' appears twice");
}

TEST_F(HostilePotTest, SectionsAreChecked) {
  // A header of 32 + 8 + 8 + 25 bytes and its checksum end at 81, so that the section begins at
  // 128.
  const auto one = [](std::uint64_t offset, std::uint64_t length, const std::string& rest,
                      const std::string& more = "") {
    std::string content;
    Put<std::uint64_t>(content, 0);
    Put<std::uint64_t>(content, 1);
    PutText(content, "s");
    Put(content, offset);
    Put(content, length);
    return ParseFile(content + more, rest);
  };
  std::string hash;
  Put(hash, base::Hash64({}));
  const std::string rest = std::string(47, '\0') + hash;
  EXPECT_TRUE(one(128, 0, rest));
  ExpectDamaged(one(192, 0, rest), "section 's' is said to have bytes");
  ExpectDamaged(one(64, 0, rest), "section 's' is said to have bytes");
  ExpectDamaged(one(128, 1, rest), "section 's' is said to have bytes");
  ExpectDamaged(one(128, ~0ull, rest), "section 's' is said to have bytes");
  ExpectDamaged(one(128, ~0ull - 7, rest), "section 's' is said to have bytes");
  ExpectDamaged(one(128, 0, rest.substr(0, 40)), "section 's' is said to have bytes");
  std::string dirty = rest;
  dirty[0] = 'x';
  ExpectDamaged(one(128, 0, dirty), "padding before section 's'");
  ExpectDamaged(one(128, 0, rest + "x"), "longer than its sections");
  ExpectDamaged(one(128, 0, rest.substr(1), "x"), "header is longer than its content");
}

TEST_F(HostilePotTest, TheReservedFieldIsZero) {
  std::string content(16, '\0');
  EXPECT_TRUE(ParseFile(content));
  ExpectDamaged(ParseFile(content, "", 1), "reserved");
}

}  // namespace
}  // namespace ondine::formats
