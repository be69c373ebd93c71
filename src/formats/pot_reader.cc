#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checksum.h"
#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "formats/align.h"
#include "formats/byte_reader.h"
#include "formats/pot_file.h"
#include "formats/pot_layout.h"

namespace ondine::formats {

using base::Quote;

// Checks one file from front to back: the preamble, the header against its checksum, then each
// section against its own. All offsets follow from the lengths, and the file must be exactly as
// long as they say.
class PotParser {
 public:
  PotParser(std::span<const std::byte> bytes, PotFile& file) : bytes_(bytes), file_(file) {}

  Status Parse() {
    ONDINE_TRY(CheckPreamble());
    ByteReader header(bytes_.first(static_cast<std::size_t>(header_length_)));
    std::string_view preamble;
    header.ReadText(kPotPreamble, preamble);
    ONDINE_TRY(ParseValues(header));
    return ParseSections(header);
  }

 private:
  // Smallest entries: an empty name (8 bytes), a type (1) and a bool (1); an empty name, an offset
  // and a length.
  static constexpr std::uint64_t kSmallestValue = 8 + 1 + 1;
  static constexpr std::uint64_t kSmallestSection = 8 + 8 + 8;

  tl::unexpected<Error> Damaged(const std::string& what) const {
    return file_.Corrupt("damaged: " + what + ": restore the file or make it again");
  }

  Status CheckPreamble() {
    ByteReader reader(bytes_);
    std::string_view start;
    reader.ReadText(std::min<std::uint64_t>(kPotMagic.size(), reader.remaining()), start);
    if (start != kPotMagic) {
      return file_.Corrupt("not a .pot file (starts with " + Quote(start) +
                           "): name one that was saved by Ondine");
    }
    std::uint32_t version = 0;
    std::uint32_t zero = 0;
    std::uint64_t file_length = 0;
    if (!reader.Read(version) || !reader.Read(zero) || !reader.Read(file_length) ||
        !reader.Read(header_length_)) {
      return Damaged("truncated within the preamble");
    }
    if (version != kPotVersion) {
      return MakeError(ErrorCode::kUnsupported,
                       "is a .pot file of version " + std::to_string(version) +
                           ", this program reads version " + std::to_string(kPotVersion) +
                           ": make it again",
                       file_.path_);
    }
    if (file_length != bytes_.size()) {
      return Damaged((file_length > bytes_.size() ? "truncated: it has " : "it has ") +
                     std::to_string(bytes_.size()) + " of " + std::to_string(file_length) +
                     " bytes");
    }
    if (header_length_ < kPotPreamble || header_length_ > kPotLargestHeader ||
        header_length_ > bytes_.size() - kPotChecksumSize || !ChecksumMatches(0, header_length_)) {
      return Damaged("the header does not match its checksum");
    }
    if (zero != 0) return Damaged("a reserved field of the preamble is not zero");
    return {};
  }

  // Whether the `length` bytes at `offset` are followed by their checksum; both lie in the file.
  bool ChecksumMatches(std::uint64_t offset, std::uint64_t length) const {
    const auto content =
        bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, content.data() + content.size(), sizeof(checksum));
    return base::Hash64(content) == checksum;
  }

  Status ParseValues(ByteReader& header) {
    std::uint64_t count = 0;
    if (!header.Read(count) || count > header.remaining() / kSmallestValue) {
      return Damaged("the header has no room for its values");
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string_view key;
      PotValue value;
      if (!header.ReadText(key)) return Damaged("the name of value " + std::to_string(i + 1));
      if (!ParseValue(header, value)) return Damaged("value " + Quote(key));
      if (!file_.values_.emplace(key, std::move(value)).second) {
        return Damaged("value " + Quote(key) + " appears twice");
      }
    }
    return {};
  }

  static bool ParseValue(ByteReader& header, PotValue& value) {
    std::uint8_t type = 0;
    if (!header.Read(type)) return false;
    switch (static_cast<PotType>(type)) {
      case PotType::kString: {
        std::string_view text;
        if (!header.ReadText(text)) return false;
        value = std::string(text);
        return true;
      }
      case PotType::kInt: return header.Read(value.emplace<std::int64_t>());
      case PotType::kNumber: return header.Read(value.emplace<double>());
      case PotType::kBool: {
        std::uint8_t byte = 0;
        if (!header.Read(byte) || byte > 1) return false;
        value = byte == 1;
        return true;
      }
    }
    return false;
  }

  Status ParseSections(ByteReader& header) {
    std::uint64_t count = 0;
    if (!header.Read(count) || count > header.remaining() / kSmallestSection) {
      return Damaged("the header has no room for its sections");
    }
    std::uint64_t end = header_length_ + kPotChecksumSize;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string_view name;
      std::uint64_t offset = 0;
      std::uint64_t length = 0;
      if (!header.ReadText(name) || !header.Read(offset) || !header.Read(length)) {
        return Damaged("entry " + std::to_string(i + 1) + " of the table of sections");
      }
      const std::string label = "section " + Quote(name);
      if (offset != AlignUp(end, kPotAlignment) || offset > bytes_.size() ||
          bytes_.size() - offset < kPotChecksumSize ||
          length > bytes_.size() - offset - kPotChecksumSize) {
        return Damaged(label + " is said to have bytes where the file has none for it");
      }
      const auto padding =
          bytes_.subspan(static_cast<std::size_t>(end), static_cast<std::size_t>(offset - end));
      if (std::ranges::any_of(padding, [](std::byte byte) { return byte != std::byte{0}; })) {
        return Damaged("the padding before " + label + " is not zero");
      }
      if (!ChecksumMatches(offset, length)) {
        return Damaged(label + " does not match its checksum");
      }
      const auto content =
          bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
      file_.Release(content);
      if (!file_.sections_.emplace(name, content).second) {
        return Damaged(label + " appears twice");
      }
      file_.section_names_.emplace_back(name);
      end = offset + length + kPotChecksumSize;
    }
    if (header.remaining() != 0) return Damaged("the header is longer than its content");
    if (end != bytes_.size()) return Damaged("the file is longer than its sections");
    return {};
  }

  std::span<const std::byte> bytes_;
  PotFile& file_;
  std::uint64_t header_length_ = 0;
};

namespace {

Status ParseInto(std::span<const std::byte> bytes, PotFile& file) {
  return base::Guarded([&] { return PotParser(bytes, file).Parse(); },
                       "its header needs more memory than there is", file.path());
}

}  // namespace

Result<PotFile> PotFile::Parse(std::span<const std::byte> bytes, const std::string& name) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kPotAlignment != 0) {
    return MakeError(ErrorCode::kInvalidArgument, "its bytes are not aligned in memory", name);
  }
  PotFile file;
  file.path_ = name;
  ONDINE_TRY(ParseInto(bytes, file));
  return file;
}

Result<PotFile> PotFile::Open(const std::string& path) {
  PotFile file;
  file.path_ = path;
  ONDINE_ASSIGN(file.mapping_, base::MappedFile::Open(path));
  ONDINE_TRY(ParseInto(file.mapping_.bytes(), file));
  return file;
}

}  // namespace ondine::formats
