#include <set>
#include <utility>

#include "base/checksum.h"
#include "base/quote.h"
#include "base/try.h"
#include "formats/align.h"
#include "formats/byte_writer.h"
#include "formats/pot_file.h"
#include "formats/pot_layout.h"

namespace ondine::formats {
namespace {

// Passes bytes on, counting and hashing them.
class CheckedSink final : public base::FileSink {
 public:
  explicit CheckedSink(base::FileSink& out) : out_(out) {}

  Status Write(std::span<const std::byte> bytes) override {
    length_ += bytes.size();
    checksum_.Update(bytes);
    return out_.Write(bytes);
  }
  std::uint64_t length() const { return length_; }
  std::uint64_t checksum() const { return checksum_.Value(); }

 private:
  base::FileSink& out_;
  base::Checksum checksum_;
  std::uint64_t length_ = 0;
};

void WriteValue(ByteWriter& out, const PotValue& value) {
  struct Writer {
    void Type(PotType type) { out.Write(static_cast<std::uint8_t>(type)); }
    void operator()(const std::string& text) {
      Type(PotType::kString);
      out.WriteText(text);
    }
    void operator()(std::int64_t number) {
      Type(PotType::kInt);
      out.Write(number);
    }
    void operator()(double number) {
      Type(PotType::kNumber);
      out.Write(number);
    }
    void operator()(bool flag) {
      Type(PotType::kBool);
      out.Write<std::uint8_t>(flag ? 1 : 0);
    }
    ByteWriter& out;
  };
  std::visit(Writer{out}, value);
}

Status WriteNumber(base::FileSink& sink, std::uint64_t number) {
  return sink.Write(std::as_bytes(std::span(&number, 1)));
}

}  // namespace

void PotFileWriter::Set(std::string key, PotValue value) {
  values_.insert_or_assign(std::move(key), std::move(value));
}

void PotFileWriter::AddSection(std::string name, std::span<const std::byte> bytes) {
  AddSection(std::move(name), bytes.size(),
             [bytes](base::FileSink& sink) { return sink.Write(bytes); });
}

void PotFileWriter::AddSection(std::string name, std::uint64_t length, Stream stream) {
  sections_.push_back({std::move(name), length, std::move(stream)});
}

Status PotFileWriter::Write(const std::string& path) const {
  std::set<std::string_view> names;
  // Offsets depend on the header's length, to which every name adds its own and 24 bytes of
  // numbers.
  std::uint64_t table_length = 8;
  for (const Section& section : sections_) {
    if (!names.insert(section.name).second) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "section " + base::Quote(section.name) + " was added twice");
    }
    table_length += 24 + section.name.size();
  }

  ByteWriter values;
  values.Write<std::uint64_t>(values_.size());
  for (const auto& [key, value] : values_) {
    values.WriteText(key);
    WriteValue(values, value);
  }

  const std::uint64_t header_length = kPotPreamble + values.size() + table_length;
  if (header_length > kPotLargestHeader) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "its values and names take " + std::to_string(header_length) +
                         " bytes, more than the " + std::to_string(kPotLargestHeader) +
                         " there may be: put long content into sections",
                     path);
  }
  ByteWriter table;
  table.Write<std::uint64_t>(sections_.size());
  std::uint64_t end = header_length + kPotChecksumSize;
  for (const Section& section : sections_) {
    const std::uint64_t offset = AlignUp(end, kPotAlignment);
    table.WriteText(section.name);
    table.Write(offset);
    table.Write(section.length);
    end = offset + section.length + kPotChecksumSize;
  }

  ByteWriter preamble;
  for (const char c : kPotMagic) preamble.Write(c);
  preamble.Write(kPotVersion);
  preamble.Write<std::uint32_t>(0);
  preamble.Write(end);
  preamble.Write(header_length);

  return base::WriteFileAtomically(path, [&](base::FileSink& file) -> Status {
    CheckedSink header(file);
    ONDINE_TRY(header.Write(preamble.bytes()));
    ONDINE_TRY(header.Write(values.bytes()));
    ONDINE_TRY(header.Write(table.bytes()));
    ONDINE_TRY(WriteNumber(file, header.checksum()));
    std::uint64_t position = header_length + kPotChecksumSize;
    for (const Section& section : sections_) {
      const std::byte zeros[kPotAlignment] = {};
      const std::uint64_t offset = AlignUp(position, kPotAlignment);
      ONDINE_TRY(file.Write(std::span(zeros).first(offset - position)));
      CheckedSink content(file);
      ONDINE_TRY(section.stream(content));
      if (content.length() != section.length) {
        return MakeError(ErrorCode::kInvalidArgument,
                         "section " + base::Quote(section.name) + " was announced with " +
                             std::to_string(section.length) + " bytes and has " +
                             std::to_string(content.length()),
                         path);
      }
      ONDINE_TRY(WriteNumber(file, content.checksum()));
      position = offset + section.length + kPotChecksumSize;
    }
    return {};
  });
}

}  // namespace ondine::formats
