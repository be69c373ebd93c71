#include "models/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/try.h"
#include "models/quantization.h"
#include "models/tensor_floats.h"

namespace ondine::models {
namespace {

std::string ShapeText(const std::array<std::int64_t, 4>& shape) {
  std::size_t dims = 4;
  while (dims > 2 && shape[dims - 1] == 1) --dims;
  std::string text = std::to_string(shape[0]);
  for (std::size_t i = 1; i < dims; ++i) text += " x " + std::to_string(shape[i]);
  return text;
}

}  // namespace

Result<compute::Linear> TensorReader::Rows(const std::string& name, std::int64_t in,
                                           compute::Worker::Range rows, std::int64_t out,
                                           const compute::StaticCode* code) const {
  ONDINE_ASSIGN(const formats::GgufTensor* tensor, Find(name, {in, out, 1, 1}));
  return RowsOf(*tensor, in, rows, out, code);
}

Result<compute::Linear> TensorReader::Convolution(const std::string& name,
                                                  const std::array<std::int64_t, 4>& shape) const {
  ONDINE_ASSIGN(const formats::GgufTensor* tensor, Find(name, shape));
  return RowsOf(*tensor, shape[0] * shape[1] * shape[2], {0, shape[3]}, shape[3], nullptr);
}

Result<compute::Linear> TensorReader::RowsOf(const formats::GgufTensor& tensor, std::int64_t in,
                                             compute::Worker::Range rows, std::int64_t out,
                                             const compute::StaticCode* code) const {
  const auto row_bytes = static_cast<std::int64_t>(tensor.data.size()) / out;
  const auto data =
      tensor.data.subspan(static_cast<std::size_t>(rows.begin * row_bytes),
                          static_cast<std::size_t>((rows.end - rows.begin) * row_bytes));
  auto linear = tensor.type == formats::TensorType::kI8
                    ? Int8Matrix(tensor, data, rows, code)
                    : compute::Linear::Create(tensor.type, in, rows.end - rows.begin, data, pool_);
  if (!linear) {
    Error error = std::move(linear).error();
    error.context = TensorPlace(file_, tensor.name);
    return tl::make_unexpected(std::move(error));
  }
  if (rows.end == out) file_.Release(tensor);
  return linear;
}

Result<std::vector<float>> TensorReader::Vector(const std::string& name,
                                                std::int64_t length) const {
  ONDINE_ASSIGN(const formats::GgufTensor* tensor, Find(name, {length, 1, 1, 1}));
  return Values(*tensor);
}

Result<NormWeights> TensorReader::Norm(const std::string& name, std::int64_t width,
                                       bool bias) const {
  NormWeights norm;
  ONDINE_ASSIGN(norm.weight, Vector(name + ".weight", width));
  if (bias) {
    ONDINE_ASSIGN(norm.bias, Vector(name + ".bias", width));
  }
  return norm;
}

Result<compute::Linear> TensorReader::Int8Matrix(const formats::GgufTensor& tensor,
                                                 std::span<const std::byte> data,
                                                 compute::Worker::Range rows,
                                                 const compute::StaticCode* code) const {
  if (code == nullptr) {
    return MakeError(ErrorCode::kUnsupported, "8-bit integers without a code of their inputs");
  }
  const std::string name = ScalesName(tensor.name);
  const formats::GgufTensor* scales = file_.FindTensor(name);
  if (scales == nullptr) return MakeError(ErrorCode::kNotFound, "has no scales: " + name);
  taken_.insert(scales);
  ONDINE_ASSIGN(const std::vector<float> values, Values(*scales));
  std::span<const float> of_rows = values;
  if (of_rows.size() == static_cast<std::size_t>(tensor.shape[1])) {
    of_rows = of_rows.subspan(static_cast<std::size_t>(rows.begin),
                              static_cast<std::size_t>(rows.end - rows.begin));
  }
  return compute::Linear::CreateInt8(tensor.shape[0], rows.end - rows.begin, data, of_rows, *code,
                                     pool_);
}

Result<std::vector<float>> TensorReader::Values(const formats::GgufTensor& tensor) const {
  const std::string place = TensorPlace(file_, tensor.name);
  if (tensor.type != formats::TensorType::kF32) {
    return MakeError(ErrorCode::kUnsupported, "a vector of this kind must be stored as F32", place);
  }
  std::vector<float> values(static_cast<std::size_t>(tensor.Elements()));
  std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(float));
  ONDINE_TRY(CheckFinite(values, place));
  return values;
}

Result<const formats::GgufTensor*> TensorReader::Find(
    const std::string& name, const std::array<std::int64_t, 4>& shape) const {
  const formats::GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) {
    return MakeError(ErrorCode::kNotFound, "the tensor " + name + " is missing", file_.path());
  }
  if (tensor->shape != shape) {
    return MakeError(ErrorCode::kCorrupt,
                     "has shape " + ShapeText(tensor->shape) + "; the hyper-parameters ask for " +
                         ShapeText(shape),
                     TensorPlace(file_, name));
  }
  taken_.insert(tensor);
  return tensor;
}

Status TensorReader::CheckAllTaken() const {
  for (const formats::GgufTensor& tensor : file_.tensors()) {
    // Files may hold more than a language model, such as an encoder of pictures.
    const bool of_model =
        std::ranges::any_of(std::array{"blk.", "output", "token_embd", "position_embd", "cls"},
                            [&](const char* begin) { return tensor.name.starts_with(begin); });
    if (!of_model || taken_.contains(&tensor)) continue;
    return MakeError(ErrorCode::kUnsupported,
                     "models of this architecture with such a tensor are not supported",
                     TensorPlace(file_, tensor.name));
  }
  return {};
}

Status CheckReaders(std::initializer_list<const compute::Linear*> matrices,
                    const std::string& place) {
  for (const compute::Linear* matrix : matrices) {
    if ((matrix->input_code() == nullptr) != ((*matrices.begin())->input_code() == nullptr)) {
      return MakeError(ErrorCode::kUnsupported,
                       "some matrices with the same input are of 8-bit integers and some are not",
                       place);
    }
  }
  return {};
}

}  // namespace ondine::models
