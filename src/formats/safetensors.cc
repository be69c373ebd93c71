#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "formats/byte_reader.h"

namespace ondine::formats {
namespace {

using base::Quote;
using nlohmann::json;

// A hundred thousand tensors need less.
constexpr std::uint64_t kLongestHeader = std::uint64_t{16} << 20;
constexpr std::string_view kNotes = "__metadata__";

struct ElementType {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array kElementTypes = {
    ElementType{"F64", 8},  ElementType{"F32", 4},     ElementType{"F16", 2},
    ElementType{"BF16", 2}, ElementType{"F8_E4M3", 1}, ElementType{"F8_E5M2", 1},
    ElementType{"I64", 8},  ElementType{"I32", 4},     ElementType{"I16", 2},
    ElementType{"I8", 1},   ElementType{"U64", 8},     ElementType{"U32", 4},
    ElementType{"U16", 2},  ElementType{"U8", 1},      ElementType{"BOOL", 1},
};

// Nullopt unless it is a list of numbers of which none is negative or too large to be a size.
std::optional<std::vector<std::int64_t>> Sizes(const json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  std::vector<std::int64_t> sizes;
  for (const json& number : *found) {
    if (!number.is_number_unsigned()) return std::nullopt;
    const auto size = number.get<std::uint64_t>();
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return std::nullopt;
    }
    sizes.push_back(static_cast<std::int64_t>(size));
  }
  return sizes;
}

// Nullopt where it does not fit into 64 bits.
std::optional<std::uint64_t> StoredBytes(std::uint64_t element,
                                         const std::vector<std::int64_t>& shape) {
  std::uint64_t bytes = element;
  for (const std::int64_t length : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(length), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

float FromHalf(std::uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  float size = std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  if (exponent == 0) size = std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == 31) {
    size = mantissa == 0 ? std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  return (half & 0x8000) != 0 ? -size : size;
}

float FromBfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

template <typename Stored, typename Convert>
std::vector<float> ConvertAll(std::span<const std::byte> data, Convert convert) {
  std::vector<float> values(data.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, data.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored);
  }
  return values;
}

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Result<std::vector<SafetensorsTensor>> Parse() {
    ONDINE_ASSIGN(const json header, ParseHeader());
    for (const auto& [name, entry] : header.items()) {
      if (name != kNotes) ONDINE_TRY(AddTensor(name, entry));
    }
    ONDINE_TRY(CheckCover());
    return std::move(tensors_);
  }

 private:
  tl::unexpected<Error> Corrupt(std::string message) const {
    return MakeError(ErrorCode::kCorrupt, std::move(message), path_);
  }

  Result<json> ParseHeader() {
    ByteReader reader(bytes_);
    std::uint64_t length = 0;
    std::string_view text;
    if (!reader.Read(length)) return Corrupt("truncated: the file ends within its first 8 bytes");
    if (length > kLongestHeader) {
      return Corrupt("not a safetensors file: its header would have " + std::to_string(length) +
                     " bytes");
    }
    if (!reader.ReadText(length, text)) {
      return Corrupt("truncated: the header has " + std::to_string(length) + " bytes, the file " +
                     std::to_string(bytes_.size()));
    }
    data_ = bytes_.subspan(reader.position());
    // The parser keeps the last of two entries with one name, which would hide the first.
    std::set<std::string> names;
    std::string twice;
    json header = json::parse(
        text,
        [&](int depth, json::parse_event_t event, const json& value) {
          if (event == json::parse_event_t::key && depth == 1 &&
              !names.insert(value.get<std::string>()).second) {
            twice = value.get<std::string>();
          }
          return true;
        },
        /*allow_exceptions=*/false);
    if (!header.is_object()) return Corrupt("the header is no JSON object");
    if (!twice.empty()) return Corrupt("tensor " + Quote(twice) + " appears twice");
    return header;
  }

  Status AddTensor(const std::string& name, const json& entry) {
    const std::string label = "tensor " + Quote(name);
    if (!entry.is_object()) return Corrupt(label + " is not described by an object");
    const auto type = entry.find("dtype");
    const auto shape = Sizes(entry, "shape"), place = Sizes(entry, "data_offsets");
    if (type == entry.end() || !type->is_string()) return Corrupt(label + " has no dtype");
    if (!shape) return Corrupt(label + " has no shape of whole numbers");
    if (!place || place->size() != 2) return Corrupt(label + " has no two data_offsets");

    const auto& wanted = type->get_ref<const std::string&>();
    const auto element = std::ranges::find(kElementTypes, wanted, &ElementType::name);
    if (element == kElementTypes.end()) {
      return MakeError(ErrorCode::kUnsupported, label + " has the unknown dtype " + Quote(wanted),
                       path_);
    }
    const auto begin = static_cast<std::uint64_t>((*place)[0]);
    const auto end = static_cast<std::uint64_t>((*place)[1]);
    const std::string where =
        label + " has data_offsets " + std::to_string(begin) + " to " + std::to_string(end);
    if (begin > end || end > data_.size()) {
      return Corrupt(where + "; the file holds " + std::to_string(data_.size()) + " bytes of data");
    }
    if (StoredBytes(element->bytes, *shape) != end - begin) {
      return Corrupt(where + ", which is not what its dtype and shape ask for");
    }
    tensors_.push_back({name, wanted, *shape, data_.subspan(begin, end - begin)});
    return {};
  }

  Status CheckCover() const {
    std::vector<std::span<const std::byte>> parts;
    parts.reserve(tensors_.size());
    for (const SafetensorsTensor& tensor : tensors_) parts.push_back(tensor.data);
    // A tensor without elements stands before one that begins at the same byte.
    std::ranges::sort(parts, {},
                      [](const auto& part) { return std::pair(part.data(), part.size()); });
    std::uint64_t covered = 0;
    for (const auto& part : parts) {
      const auto begin = static_cast<std::uint64_t>(part.data() - data_.data());
      if (begin < covered) return Corrupt("two tensors share byte " + std::to_string(begin));
      if (begin > covered) return Unused(covered);
      covered += part.size();
    }
    return covered == data_.size() ? Status() : Unused(covered);
  }

  tl::unexpected<Error> Unused(std::uint64_t byte) const {
    return Corrupt("byte " + std::to_string(byte) + " of the data belongs to no tensor");
  }

  std::span<const std::byte> bytes_, data_;
  const std::string& path_;
  std::vector<SafetensorsTensor> tensors_;
};

}  // namespace

Result<SafetensorsFile> SafetensorsFile::Parse(std::span<const std::byte> bytes,
                                               const std::string& name) {
  const auto parse = [&]() -> Result<SafetensorsFile> {
    SafetensorsFile file;
    file.path_ = name;
    ONDINE_ASSIGN(file.tensors_, Parser(bytes, file.path_).Parse());
    return file;
  };
  return base::Guarded(parse, "its header needs more memory than there is", name);
}

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  ONDINE_ASSIGN(base::MappedFile mapping, base::MappedFile::Open(path));
  ONDINE_ASSIGN(SafetensorsFile file, Parse(mapping.bytes(), path));
  file.mapping_ = std::move(mapping);
  return file;
}

Result<std::vector<float>> SafetensorsFile::Floats(const SafetensorsTensor& tensor) const {
  const auto cast = [](auto value) { return static_cast<float>(value); };
  if (tensor.type == "F64") return ConvertAll<double>(tensor.data, cast);
  if (tensor.type == "F32") return ConvertAll<float>(tensor.data, cast);
  if (tensor.type == "F16") return ConvertAll<std::uint16_t>(tensor.data, FromHalf);
  if (tensor.type == "BF16") return ConvertAll<std::uint16_t>(tensor.data, FromBfloat16);
  return MakeError(ErrorCode::kUnsupported,
                   "tensor " + Quote(tensor.name) + " has the dtype " + Quote(tensor.type) +
                       "; F64, F32, F16 and BF16 are read",
                   path_);
}

}  // namespace ondine::formats
