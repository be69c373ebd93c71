#include "models/tensor_floats.h"

#include <cmath>
#include <string>

#include "base/quote.h"
#include "base/try.h"
#include "compute/linear.h"

namespace ondine::models {

std::string TensorPlace(const formats::GgufFile& file, std::string_view tensor) {
  return file.path() + ", tensor " + base::Quote(tensor);
}

Result<std::vector<float>> ReadFloats(const formats::GgufFile& file,
                                      const formats::GgufTensor& tensor,
                                      compute::ThreadPool& pool) {
  const std::string place = TensorPlace(file, tensor.name);
  const std::int64_t columns = tensor.shape[0], rows = tensor.Elements() / columns;
  const auto matrix = compute::Linear::Create(tensor.type, columns, rows, tensor.data, pool);
  if (!matrix) {
    Error error = matrix.error();
    error.context = place;
    return tl::make_unexpected(std::move(error));
  }
  std::vector<float> values(static_cast<std::size_t>(columns * rows));
  for (std::int64_t row = 0; row < rows; ++row) matrix->GetRow(row, &values[row * columns]);
  ONDINE_TRY(CheckFinite(values, place));
  return values;
}

Status CheckFinite(std::span<const float> values, const std::string& place) {
  for (const float value : values) {
    if (!std::isfinite(value)) {
      return MakeError(ErrorCode::kCorrupt, "holds NaN or infinity", place);
    }
  }
  return {};
}

}  // namespace ondine::models
