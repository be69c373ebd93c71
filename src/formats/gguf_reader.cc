#include <algorithm>
#include <limits>
#include <utility>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "formats/align.h"
#include "formats/byte_reader.h"
#include "formats/gguf.h"
#include "formats/gguf_layout.h"

namespace ondine::formats {

using base::Quote;

// Reads one file from front to back. A count is believed only if as many of the smallest possible
// entries fit into what is left of the file, so that nothing is allocated for a lie.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), reader_(bytes) {
    file_.path_ = std::move(name);
    file_.size_ = bytes.size();
  }

  Result<GgufFile> Parse() {
    ONDINE_TRY(ParseHeader());
    for (std::uint64_t i = 0; i < metadata_count_; ++i) ONDINE_TRY(ParseMetadata());
    ONDINE_TRY(ReadAlignment());
    offsets_.reserve(static_cast<std::size_t>(tensor_count_));
    file_.tensors_.reserve(static_cast<std::size_t>(tensor_count_));
    for (std::uint64_t i = 0; i < tensor_count_; ++i) ONDINE_TRY(ParseTensor());
    ONDINE_TRY(PlaceTensors());
    ONDINE_TRY(CheckOverlap());
    return std::move(file_);
  }

 private:
  // Smallest entries: an empty name (8 bytes), a value type (4) and a value of one byte; an empty
  // name, a number of dimensions (4), one of them (8), a type (4) and an offset (8).
  static constexpr std::uint64_t kSmallestMetadata = 8 + 4 + 1;
  static constexpr std::uint64_t kSmallestTensor = 8 + 4 + 8 + 4 + 8;

  tl::unexpected<Error> Corrupt(std::string message) const {
    return MakeError(ErrorCode::kCorrupt, std::move(message), file_.path_);
  }
  tl::unexpected<Error> Unsupported(std::string message) const {
    return MakeError(ErrorCode::kUnsupported, std::move(message), file_.path_);
  }
  tl::unexpected<Error> Truncated(const std::string& where) const {
    return Corrupt("truncated: the file ends after " + std::to_string(bytes_.size()) +
                   " bytes, within " + where + ": download it again");
  }

  Status ParseHeader() {
    std::string_view start;
    reader_.ReadText(std::min<std::uint64_t>(16, reader_.remaining()), start);
    if (!start.starts_with(kGgufMagic)) {
      return Corrupt("not a GGUF file (starts with " + Quote(start) +
                     "): name a model in GGUF format");
    }
    reader_ = ByteReader(bytes_.subspan(kGgufMagic.size()));
    std::uint32_t version = 0;
    if (!reader_.Read(version)) return Truncated("the header");
    if (version != 0 && (version & 0xFFFF) == 0) {
      return Unsupported("a big-endian GGUF file: get or convert to a little-endian one");
    }
    if (version < 2 || version > kGgufVersion) {
      return Unsupported("GGUF version " + std::to_string(version) +
                         ": versions 2 and 3 are read; get or convert to one of these");
    }
    if (!reader_.Read(tensor_count_) || !reader_.Read(metadata_count_)) {
      return Truncated("the header");
    }
    if (metadata_count_ > reader_.remaining() / kSmallestMetadata) {
      return Corrupt("the header counts " + std::to_string(metadata_count_) +
                     " metadata keys, more than the file has room for: download it again");
    }
    if (tensor_count_ > reader_.remaining() / kSmallestTensor) {
      return Corrupt("the header counts " + std::to_string(tensor_count_) +
                     " tensors, more than the file has room for: download it again");
    }
    return {};
  }

  Status ParseMetadata() {
    std::string_view key;
    std::uint32_t type = 0;
    if (!reader_.ReadText(key)) {
      return Truncated("metadata key " + std::to_string(file_.metadata_.size() + 1) + " of " +
                       std::to_string(metadata_count_));
    }
    if (!reader_.Read(type)) return Truncated("the type of key " + Quote(key));
    GgufValue value;
    ONDINE_TRY(static_cast<GgufType>(type) == GgufType::kArray ? ParseArray(key, value)
                                                               : ParseScalar(key, type, value));
    if (!file_.metadata_.emplace(key, std::move(value)).second) {
      return Corrupt("key " + Quote(key) + " appears twice");
    }
    return {};
  }

  // Reads a T and stores it as the alternative Stored of `value`.
  template <typename T, typename Stored>
  Status ParseNumber(std::string_view key, GgufValue& value) {
    T number = 0;
    if (!reader_.Read(number)) return Truncated("the value of key " + Quote(key));
    value = static_cast<Stored>(number);
    return {};
  }

  Status ParseScalar(std::string_view key, std::uint32_t type, GgufValue& value) {
    switch (static_cast<GgufType>(type)) {
      case GgufType::kUint8: return ParseNumber<std::uint8_t, std::uint64_t>(key, value);
      case GgufType::kInt8: return ParseNumber<std::int8_t, std::int64_t>(key, value);
      case GgufType::kUint16: return ParseNumber<std::uint16_t, std::uint64_t>(key, value);
      case GgufType::kInt16: return ParseNumber<std::int16_t, std::int64_t>(key, value);
      case GgufType::kUint32: return ParseNumber<std::uint32_t, std::uint64_t>(key, value);
      case GgufType::kInt32: return ParseNumber<std::int32_t, std::int64_t>(key, value);
      case GgufType::kUint64: return ParseNumber<std::uint64_t, std::uint64_t>(key, value);
      case GgufType::kInt64: return ParseNumber<std::int64_t, std::int64_t>(key, value);
      case GgufType::kFloat32: return ParseNumber<float, double>(key, value);
      case GgufType::kFloat64: return ParseNumber<double, double>(key, value);
      case GgufType::kBool: {
        std::uint8_t byte = 0;
        if (!reader_.Read(byte)) return Truncated("the value of key " + Quote(key));
        if (byte > 1) return BadBool(key, byte);
        value = byte == 1;
        return {};
      }
      case GgufType::kString: {
        std::string_view text;
        if (!reader_.ReadText(text)) return Truncated("the value of key " + Quote(key));
        value = std::string(text);
        return {};
      }
      case GgufType::kArray: break;
    }
    return UnknownType(key, type);
  }

  Status ParseArray(std::string_view key, GgufValue& value) {
    std::uint32_t type = 0;
    std::uint64_t count = 0;
    if (!reader_.Read(type) || !reader_.Read(count)) {
      return Truncated("the array of key " + Quote(key));
    }
    switch (static_cast<GgufType>(type)) {
      case GgufType::kUint8: return ParseNumbers<std::uint8_t, std::uint64_t>(key, count, value);
      case GgufType::kInt8: return ParseNumbers<std::int8_t, std::int64_t>(key, count, value);
      case GgufType::kUint16: return ParseNumbers<std::uint16_t, std::uint64_t>(key, count, value);
      case GgufType::kInt16: return ParseNumbers<std::int16_t, std::int64_t>(key, count, value);
      case GgufType::kUint32: return ParseNumbers<std::uint32_t, std::uint64_t>(key, count, value);
      case GgufType::kInt32: return ParseNumbers<std::int32_t, std::int64_t>(key, count, value);
      case GgufType::kUint64: return ParseNumbers<std::uint64_t, std::uint64_t>(key, count, value);
      case GgufType::kInt64: return ParseNumbers<std::int64_t, std::int64_t>(key, count, value);
      case GgufType::kFloat32: return ParseNumbers<float, float>(key, count, value);
      case GgufType::kFloat64: return ParseNumbers<double, float>(key, count, value);
      case GgufType::kBool: {
        ONDINE_TRY((ParseNumbers<std::uint8_t, std::uint64_t>(key, count, value)));
        for (const std::uint64_t byte : std::get<std::vector<std::uint64_t>>(value)) {
          if (byte > 1) return BadBool(key, byte);
        }
        return {};
      }
      case GgufType::kString: return ParseStrings(key, count, value);
      case GgufType::kArray: return Unsupported("key " + Quote(key) + " holds an array of arrays");
    }
    return UnknownType(key, type);
  }

  template <typename T, typename Stored>
  Status ParseNumbers(std::string_view key, std::uint64_t count, GgufValue& value) {
    if (count > reader_.remaining() / sizeof(T)) return ArrayTooLong(key, count);
    auto& numbers = value.emplace<std::vector<Stored>>(static_cast<std::size_t>(count));
    for (Stored& stored : numbers) {
      T number = 0;
      reader_.Read(number);
      // An int8 is a number here, not a character.
      stored = static_cast<Stored>(number);  // NOLINT(bugprone-signed-char-misuse)
    }
    return {};
  }

  Status ParseStrings(std::string_view key, std::uint64_t count, GgufValue& value) {
    if (count > reader_.remaining() / sizeof(std::uint64_t)) return ArrayTooLong(key, count);
    auto& strings = value.emplace<std::vector<std::string>>();
    strings.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      std::string_view text;
      if (!reader_.ReadText(text)) {
        return Truncated("string " + std::to_string(i + 1) + " of " + std::to_string(count) +
                         " of key " + Quote(key));
      }
      strings.emplace_back(text);
    }
    return {};
  }

  tl::unexpected<Error> ArrayTooLong(std::string_view key, std::uint64_t count) const {
    return Corrupt("key " + Quote(key) + " holds an array of " + std::to_string(count) +
                   " elements, more than the file has room for: download it again");
  }
  tl::unexpected<Error> BadBool(std::string_view key, std::uint64_t byte) const {
    return Corrupt("key " + Quote(key) + " holds a boolean of value " + std::to_string(byte));
  }
  tl::unexpected<Error> UnknownType(std::string_view key, std::uint32_t type) const {
    return Unsupported("key " + Quote(key) + " has the unknown value type " + std::to_string(type) +
                       ": the file is damaged or of a newer format");
  }

  Status ReadAlignment() {
    ONDINE_ASSIGN(const std::optional<std::int64_t> alignment, file_.FindInt(kAlignmentKey));
    if (!alignment) return {};
    alignment_ = static_cast<std::uint64_t>(*alignment);
    if (!IsSaneAlignment(alignment_)) {
      return Corrupt("general.alignment is " + std::to_string(*alignment) +
                     ": it must be a power of two from 8 to 65536");
    }
    return {};
  }

  Status ParseTensor() {
    GgufTensor tensor;
    std::string_view name;
    if (!reader_.ReadText(name)) {
      return Truncated("the name of tensor " + std::to_string(file_.tensors_.size() + 1) + " of " +
                       std::to_string(tensor_count_));
    }
    tensor.name = name;
    const std::string label = "tensor " + Quote(name);
    std::uint32_t dims = 0;
    if (!reader_.Read(dims)) return Truncated(label);
    if (dims < 1 || dims > tensor.shape.size()) {
      return Corrupt(label + " has " + std::to_string(dims) + " dimensions: it must be 1 to 4");
    }
    tensor.dims = static_cast<int>(dims);
    for (std::uint32_t i = 0; i < dims; ++i) {
      std::uint64_t length = 0;
      if (!reader_.Read(length)) return Truncated(label);
      if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return Corrupt(label + " has a dimension of length " + std::to_string(length));
      }
      tensor.shape[i] = static_cast<std::int64_t>(length);
    }
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
    if (!reader_.Read(type) || !reader_.Read(offset)) return Truncated(label);
    if (!FindTensorType(type)) {
      return Unsupported(label + " has type number " + std::to_string(type) +
                         ", which is unknown or no longer in use: get the model in another type");
    }
    tensor.type = static_cast<TensorType>(type);
    if (!file_.tensor_index_.emplace(name, file_.tensors_.size()).second) {
      return Corrupt(label + " appears twice");
    }
    offsets_.push_back(offset);
    file_.tensors_.push_back(std::move(tensor));
    return {};
  }

  // Gives each tensor its bytes. Offsets count from the first aligned position after the list.
  Status PlaceTensors() {
    const std::uint64_t start = AlignUp(kGgufMagic.size() + reader_.position(), alignment_);
    for (std::size_t i = 0; i < offsets_.size(); ++i) {
      GgufTensor& tensor = file_.tensors_[i];
      const std::string label = "tensor " + Quote(tensor.name);
      const auto bytes = StoredBytes(
          tensor.type, std::span(tensor.shape).first(static_cast<std::size_t>(tensor.dims)));
      if (!bytes) return Corrupt(label + " has " + bytes.error().message);
      if (offsets_[i] % alignment_ != 0) {
        return Corrupt(label + " starts at offset " + std::to_string(offsets_[i]) +
                       ", not a multiple of the alignment " + std::to_string(alignment_));
      }
      std::uint64_t begin = 0;
      std::uint64_t end = 0;
      if (__builtin_add_overflow(start, offsets_[i], &begin) ||
          __builtin_add_overflow(begin, *bytes, &end)) {
        return Corrupt(label + " has the impossible offset " + std::to_string(offsets_[i]));
      }
      if (end > bytes_.size()) {
        return Corrupt("truncated: " + label + " needs bytes " + std::to_string(begin) + ".." +
                       std::to_string(end) + " but the file has " + std::to_string(bytes_.size()) +
                       ": download it again");
      }
      tensor.data =
          bytes_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(*bytes));
    }
    return {};
  }

  Status CheckOverlap() const {
    std::vector<const GgufTensor*> order;
    order.reserve(file_.tensors_.size());
    for (const GgufTensor& tensor : file_.tensors_) order.push_back(&tensor);
    const auto begin = [](const GgufTensor* tensor) { return tensor->data.data(); };
    std::ranges::sort(order, {}, begin);
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (begin(order[i - 1]) + order[i - 1]->data.size() > begin(order[i])) {
        return Corrupt("tensors " + Quote(order[i - 1]->name) + " and " + Quote(order[i]->name) +
                       " overlap");
      }
    }
    return {};
  }

  std::span<const std::byte> bytes_;
  ByteReader reader_;  // from the magic's end on, once the magic is checked
  GgufFile file_;
  std::uint64_t metadata_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  std::vector<std::uint64_t> offsets_;  // of each tensor, relative to the start of the data
};

Result<GgufFile> GgufFile::Parse(std::span<const std::byte> bytes, const std::string& name) {
  // Values of one byte become eight in memory: a large file may ask for more than there is.
  return base::Guarded([&] { return GgufParser(bytes, name).Parse(); },
                       "its metadata needs more memory than there is", name);
}

Result<GgufFile> GgufFile::Open(const std::string& path) {
  ONDINE_ASSIGN(base::MappedFile mapping, base::MappedFile::Open(path));
  ONDINE_ASSIGN(GgufFile file, Parse(mapping.bytes(), path));
  file.mapping_ = std::move(mapping);
  return file;
}

}  // namespace ondine::formats
