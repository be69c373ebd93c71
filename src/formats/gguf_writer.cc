#include <algorithm>
#include <set>
#include <utility>

#include "base/quote.h"
#include "base/try.h"
#include "formats/align.h"
#include "formats/byte_writer.h"
#include "formats/gguf.h"
#include "formats/gguf_layout.h"

namespace ondine::formats {
namespace {

template <typename T>
bool AllFit(const auto& numbers) {
  return std::ranges::all_of(numbers, [](auto number) { return std::in_range<T>(number); });
}

// Writes a value behind its type. The numbers' widths are those llama.cpp and its tools read keys
// with: 32 bits, unless a number needs more.
class ValueWriter {
 public:
  explicit ValueWriter(ByteWriter& out) : out_(out) {}

  void operator()(std::int64_t number) {
    std::in_range<std::int32_t>(number) ? Scalar<std::int32_t>(GgufType::kInt32, number)
                                        : Scalar<std::int64_t>(GgufType::kInt64, number);
  }
  void operator()(std::uint64_t number) {
    std::in_range<std::uint32_t>(number) ? Scalar<std::uint32_t>(GgufType::kUint32, number)
                                         : Scalar<std::uint64_t>(GgufType::kUint64, number);
  }
  void operator()(double number) { Scalar<float>(GgufType::kFloat32, number); }
  void operator()(bool value) { Scalar<std::uint8_t>(GgufType::kBool, value ? 1 : 0); }
  void operator()(const std::string& text) {
    Type(GgufType::kString);
    out_.WriteText(text);
  }
  void operator()(const std::vector<std::int64_t>& numbers) {
    AllFit<std::int32_t>(numbers) ? Array<std::int32_t>(GgufType::kInt32, numbers)
                                  : Array<std::int64_t>(GgufType::kInt64, numbers);
  }
  void operator()(const std::vector<std::uint64_t>& numbers) {
    AllFit<std::uint32_t>(numbers) ? Array<std::uint32_t>(GgufType::kUint32, numbers)
                                   : Array<std::uint64_t>(GgufType::kUint64, numbers);
  }
  void operator()(const std::vector<float>& numbers) { Array<float>(GgufType::kFloat32, numbers); }
  void operator()(const std::vector<std::string>& strings) {
    ArrayHead(GgufType::kString, strings.size());
    for (const std::string& text : strings) out_.WriteText(text);
  }

 private:
  void Type(GgufType type) { out_.Write(static_cast<std::uint32_t>(type)); }

  template <typename T>
  void Scalar(GgufType type, auto number) {
    Type(type);
    out_.Write(static_cast<T>(number));
  }

  void ArrayHead(GgufType type, std::uint64_t count) {
    Type(GgufType::kArray);
    Type(type);
    out_.Write(count);
  }

  template <typename T>
  void Array(GgufType type, const auto& numbers) {
    ArrayHead(type, numbers.size());
    for (const auto number : numbers) out_.Write(static_cast<T>(number));
  }

  ByteWriter& out_;
};

class CountingSink final : public base::FileSink {
 public:
  explicit CountingSink(base::FileSink& sink) : sink_(sink) {}
  Status Write(std::span<const std::byte> bytes) override {
    bytes_ += bytes.size();
    return sink_.Write(bytes);
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  base::FileSink& sink_;
  std::uint64_t bytes_ = 0;
};

Status CheckSize(const std::string& label, std::uint64_t bytes, std::uint64_t wanted) {
  if (bytes == wanted) return {};
  return MakeError(ErrorCode::kInvalidArgument, label + " has " + std::to_string(bytes) +
                                                    " bytes of data, its type and shape ask for " +
                                                    std::to_string(wanted));
}

}  // namespace

void GgufWriter::Set(std::string key, GgufValue value) {
  metadata_.insert_or_assign(std::move(key), std::move(value));
}

void GgufWriter::Add(std::string name, TensorType type, std::span<const std::int64_t> shape,
                     std::span<const std::byte> data) {
  tensors_.push_back({std::move(name), type, {shape.begin(), shape.end()}, data, nullptr});
}

void GgufWriter::Add(std::string name, TensorType type, std::span<const std::int64_t> shape,
                     TensorWriter write) {
  tensors_.push_back({std::move(name), type, {shape.begin(), shape.end()}, {}, std::move(write)});
}

Result<std::uint64_t> GgufWriter::Alignment() const {
  const auto found = metadata_.find(kAlignmentKey);
  if (found == metadata_.end()) return kDefaultAlignment;
  std::uint64_t alignment = 0;
  if (const auto* number = std::get_if<std::uint64_t>(&found->second)) alignment = *number;
  if (const auto* number = std::get_if<std::int64_t>(&found->second)) {
    alignment = static_cast<std::uint64_t>(*number);
  }
  if (!IsSaneAlignment(alignment)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "general.alignment must be a power of two from 8 to 65536");
  }
  return alignment;
}

Result<std::vector<std::uint64_t>> GgufWriter::TensorSizes() const {
  std::set<std::string_view> names;
  std::vector<std::uint64_t> sizes;
  for (const Pending& tensor : tensors_) {
    const std::string label = "tensor " + base::Quote(tensor.name);
    if (!names.insert(tensor.name).second) {
      return MakeError(ErrorCode::kInvalidArgument, label + " was added twice");
    }
    const auto bytes = StoredBytes(tensor.type, tensor.shape);
    if (!bytes) {
      return MakeError(ErrorCode::kInvalidArgument, label + " has " + bytes.error().message);
    }
    if (tensor.write == nullptr) ONDINE_TRY(CheckSize(label, tensor.data.size(), *bytes));
    sizes.push_back(*bytes);
  }
  return sizes;
}

Status GgufWriter::Write(const std::string& path) const {
  return base::WriteFileAtomically(path, [&](base::FileSink& sink) { return WriteTo(sink); });
}

Status GgufWriter::WriteTo(base::FileSink& sink) const {
  ONDINE_ASSIGN(const std::uint64_t alignment, Alignment());
  ONDINE_ASSIGN(const std::vector<std::uint64_t> sizes, TensorSizes());

  ByteWriter head;
  for (const char c : kGgufMagic) head.Write(c);
  head.Write(kGgufVersion);
  head.Write<std::uint64_t>(tensors_.size());
  head.Write<std::uint64_t>(metadata_.size());
  for (const auto& [key, value] : metadata_) {
    head.WriteText(key);
    std::visit(ValueWriter(head), value);
  }
  std::uint64_t offset = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const Pending& tensor = tensors_[i];
    head.WriteText(tensor.name);
    head.Write(static_cast<std::uint32_t>(tensor.shape.size()));
    for (const std::int64_t length : tensor.shape) head.Write(length);
    head.Write(static_cast<std::uint32_t>(tensor.type));
    head.Write(offset);
    offset = AlignUp(offset + sizes[i], alignment);
  }
  head.PadTo(AlignUp(head.size(), alignment));

  ONDINE_TRY(sink.Write(head.bytes()));
  const std::vector<std::byte> zeros(static_cast<std::size_t>(alignment));
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const Pending& tensor = tensors_[i];
    if (tensor.write == nullptr) {
      ONDINE_TRY(sink.Write(tensor.data));
    } else {
      CountingSink counted(sink);
      ONDINE_TRY(tensor.write(counted));
      ONDINE_TRY(CheckSize("tensor " + base::Quote(tensor.name), counted.bytes(), sizes[i]));
    }
    ONDINE_TRY(sink.Write(std::span(zeros).first(AlignUp(sizes[i], alignment) - sizes[i])));
  }
  return {};
}

}  // namespace ondine::formats
