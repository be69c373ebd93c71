#include "quant/convert.h"

#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/try.h"
#include "compute/int8_weights.h"
#include "models/clip.h"
#include "models/tensor_floats.h"
#include "quant/weights.h"

namespace ondine::quant {
namespace {

using formats::GgufTensor;
using formats::TensorType;

// What becomes of a tensor.
struct Change {
  models::TensorFold fold = {};
  // The rows of each of the matrices in it that may become 8-bit integers; none: it may not.
  std::vector<std::int64_t> matrices = {};
};

class Conversion {
 public:
  Conversion(const formats::GgufFile& file, compute::ThreadPool& pool,
             const ConversionOptions& options)
      : file_(file), pool_(pool), options_(options) {
    for (const auto& [key, value] : file_.metadata()) {
      // What llama.cpp calls the type of most weights is another one now.
      if (key != "general.file_type") writer_.Set(key, value);
    }
  }

  formats::GgufWriter& writer() { return writer_; }

  Status Add(const GgufTensor& tensor, Change change) {
    models::TensorFold& fold = change.fold;
    const std::span<const std::int64_t> shape(tensor.shape.data(),
                                              static_cast<std::size_t>(tensor.dims));
    ONDINE_TRY(CheckFold(tensor, fold));
    if (options_.quantization && !change.matrices.empty()) {
      ONDINE_TRY(CheckInt8(tensor, change));
      AddInt8(tensor, shape, std::move(change));
    } else if (fold.changes()) {
      writer_.Add(tensor.name, TensorType::kF32, shape,
                  [this, &tensor, fold = std::move(fold)](base::FileSink& sink) -> Status {
                    ONDINE_ASSIGN(const std::vector<float> values, Folded(tensor, fold));
                    return sink.Write(std::as_bytes(std::span(values)));
                  });
    } else {
      writer_.Add(tensor.name, tensor.type, shape, [this, &tensor](base::FileSink& sink) -> Status {
        ONDINE_TRY(Report());
        ONDINE_TRY(sink.Write(tensor.data));
        file_.Release(tensor);
        return {};
      });
    }
    return {};
  }

  // `floats` tells people what stays in floats.
  Status Write(const std::string& path, const std::string& floats) {
    if (options_.quantization) {
      models::WriteQuantization(*options_.quantization, floats, writer_);
    }
    return writer_.Write(path);
  }

 private:
  // The decoder has checked the shapes of what it reads. A file may hold more, under names that are
  // changed too.
  Status CheckFold(const GgufTensor& tensor, const models::TensorFold& fold) const {
    const auto fits = [](const std::vector<float>& scales, std::int64_t wanted) {
      return scales.empty() || std::cmp_equal(scales.size(), wanted);
    };
    const std::int64_t columns = Columns(tensor);
    if (fits(fold.rows, tensor.Elements() / columns) && fits(fold.columns, columns)) return {};
    return OfAnotherShape(tensor);
  }
  Status CheckInt8(const GgufTensor& tensor, const Change& change) const {
    const std::int64_t rows =
        std::accumulate(change.matrices.begin(), change.matrices.end(), std::int64_t{0});
    if (tensor.dims != 2 || tensor.shape[1] != rows) return OfAnotherShape(tensor);
    if (tensor.shape[0] > compute::Int8Weights::kMostColumns) {
      return MakeError(ErrorCode::kUnsupported, "is too wide for sums of 32 bits",
                       models::TensorPlace(file_, tensor.name));
    }
    return {};
  }
  tl::unexpected<Error> OfAnotherShape(const GgufTensor& tensor) const {
    return MakeError(ErrorCode::kCorrupt, "has another shape than the hyper-parameters ask for",
                     models::TensorPlace(file_, tensor.name));
  }

  // A vector is one column here: its elements are rows.
  static std::int64_t Columns(const GgufTensor& tensor) {
    return tensor.dims > 1 ? tensor.shape[0] : 1;
  }

  // The codes, and behind them, in a tensor of their own, the scales that came with them.
  void AddInt8(const GgufTensor& tensor, std::span<const std::int64_t> shape, Change change) {
    const bool per_channel = options_.quantization->per_channel;
    const std::int64_t count = per_channel || change.matrices.size() > 1 ? tensor.shape[1] : 1;
    auto scales = std::make_shared<std::vector<float>>();
    writer_.Add(tensor.name, TensorType::kI8, shape,
                [this, &tensor, per_channel, scales,
                 change = std::move(change)](base::FileSink& sink) -> Status {
                  ONDINE_ASSIGN(const std::vector<float> values, Folded(tensor, change.fold));
                  std::span<const float> rest = values;
                  for (const std::int64_t rows : change.matrices) {
                    const auto size = static_cast<std::size_t>(rows * tensor.shape[0]);
                    WeightCodes codes =
                        EncodeWeights(rest.first(size), rows, options_.weight_bits, per_channel);
                    rest = rest.subspan(size);
                    if (change.matrices.size() > 1 && !per_channel) {
                      codes.scales.assign(static_cast<std::size_t>(rows), codes.scales.front());
                    }
                    scales->insert(scales->end(), codes.scales.begin(), codes.scales.end());
                    ONDINE_TRY(sink.Write(std::as_bytes(std::span(codes.codes))));
                  }
                  return {};
                });
    writer_.Add(
        models::ScalesName(tensor.name), TensorType::kF32, std::array{count},
        [scales](base::FileSink& sink) { return sink.Write(std::as_bytes(std::span(*scales))); });
  }

  Result<std::vector<float>> Folded(const GgufTensor& tensor, const models::TensorFold& fold) {
    ONDINE_TRY(Report());
    ONDINE_ASSIGN(std::vector<float> values, models::ReadFloats(file_, tensor, pool_));
    file_.Release(tensor);
    const auto columns = static_cast<std::size_t>(Columns(tensor));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t row = i / columns, column = i % columns;
      if (!fold.rows.empty()) values[i] *= fold.rows[row];
      if (!fold.columns.empty()) values[i] /= fold.columns[column];
    }
    ONDINE_TRY(models::CheckFinite(values, models::TensorPlace(file_, tensor.name) + ", folded"));
    return values;
  }

  Status Report() {
    if (options_.stop_token.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
    if (options_.on_progress) {
      options_.on_progress(++done_, static_cast<std::int64_t>(file_.tensors().size()));
    }
    return {};
  }

  const formats::GgufFile& file_;
  compute::ThreadPool& pool_;
  const ConversionOptions& options_;
  formats::GgufWriter writer_;
  std::int64_t done_ = 0;
};

}  // namespace

Status Convert(const formats::GgufFile& file, const models::DecoderSpec& spec,
               compute::ThreadPool& pool, const ConversionOptions& options,
               const std::string& path) {
  Conversion conversion(file, pool, options);
  if (options.fold) models::WriteFold(*options.fold, spec, conversion.writer());
  for (const GgufTensor& tensor : file.tensors()) {
    Change change;
    if (options.fold) change.fold = FoldOf(spec, options.fold->scales, tensor.name);
    if (models::IsLayerMatrix(tensor.name)) {
      change.matrices = {tensor.shape[1]};
      if (tensor.name.ends_with("attn_qkv.weight")) {
        // Matrices of their own, even where they are one tensor.
        change.matrices = {spec.query_width(), spec.kv_width(), spec.kv_width()};
      }
    }
    ONDINE_TRY(conversion.Add(tensor, std::move(change)));
  }
  return conversion.Write(path,
                          "embedding, norms, attention products, softmax, activation function, "
                          "residual sums, output matrix");
}

Status ConvertClip(const formats::GgufFile& file, compute::ThreadPool& pool,
                   const ConversionOptions& options, const std::string& path) {
  Conversion conversion(file, pool, options);
  for (const GgufTensor& tensor : file.tensors()) {
    Change change;
    if (models::IsTowerMatrix(tensor.name)) change.matrices = {tensor.shape[1]};
    ONDINE_TRY(conversion.Add(tensor, std::move(change)));
  }
  return conversion.Write(path,
                          "embeddings of tokens, positions and patches, norms, attention products, "
                          "softmax, activation function, residual sums, projections");
}

}  // namespace ondine::quant
