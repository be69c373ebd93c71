// Linear layers of any type through ggml's row functions: the plain path, and the yardstick of the
// fast ones.
#include <ggml-cpu.h>
#include <ggml.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>

#include "compute/aligned_array.h"
#include "compute/atomic_min.h"
#include "compute/linear_impl.h"
#include "compute/weight_memory.h"

namespace ondine::compute {
namespace {

class GgmlLinear final : public Linear::Impl {
 public:
  GgmlLinear(const LinearShape& shape, const ggml_type_traits* type,
             const ggml_type_traits_cpu* cpu_type)
      : Impl(shape),
        type_(type),
        cpu_type_(cpu_type),
        input_type_(cpu_type->vec_dot_type),
        data_(AllocateWeights(static_cast<std::size_t>(shape.out * shape.row_bytes))) {}

  std::size_t bytes() const override {
    return static_cast<std::size_t>(shape().out * shape().row_bytes);
  }

  std::byte* Row(std::int64_t row) { return data_.get() + row * shape().row_bytes; }
  const std::byte* Row(std::int64_t row) const { return data_.get() + row * shape().row_bytes; }

  void GetRow(std::int64_t row, float* out) const override {
    if (shape().type == formats::TensorType::kF32) {
      std::memcpy(out, Row(row), static_cast<std::size_t>(shape().row_bytes));
    } else {
      type_->to_float(Row(row), out, shape().in);
    }
  }

  void Multiply(Worker::Range outputs, const Activations& x, Worker::Range rows, Store store,
                float* y, std::int64_t stride) const override {
    const std::int64_t row_count = rows.end - rows.begin;
    const int in = static_cast<int>(shape().in);
    const std::size_t input_bytes = ggml_row_size(input_type_, shape().in);
    // Each worker converts the input for itself: sharing would cost a barrier.
    thread_local AlignedArray<std::byte> inputs;
    inputs.Reserve(static_cast<std::size_t>(row_count) * input_bytes);
    for (std::int64_t i = 0; i < row_count; ++i) {
      std::byte* input = inputs.data() + i * input_bytes;
      if (input_type_ == GGML_TYPE_F32) {
        std::memcpy(input, x.Row(rows.begin + i), input_bytes);
      } else {
        ggml_get_type_traits_cpu(input_type_)->from_float(x.Row(rows.begin + i), input, in);
      }
    }
    for (std::int64_t first = outputs.begin; first < outputs.end; first += Linear::kOutputGrain) {
      const std::int64_t last = std::min(first + Linear::kOutputGrain, outputs.end);
      for (std::int64_t i = 0; i < row_count; ++i) {
        for (std::int64_t j = first; j < last; ++j) {
          float dot = 0;
          cpu_type_->vec_dot(in, &dot, 0, Row(j), 0, inputs.data() + i * input_bytes, 0, 1);
          float& target = y[i * stride + j - outputs.begin];
          target = store == Store::kAdd ? target + dot : dot;
        }
      }
    }
  }

 private:
  const ggml_type_traits* type_;
  const ggml_type_traits_cpu* cpu_type_;
  ggml_type input_type_;
  std::shared_ptr<std::byte> data_;
};

}  // namespace

Result<LinearImpl> CreateGgmlLinear(const LinearShape& shape, std::span<const std::byte> data,
                                    ThreadPool& pool) {
  ggml_cpu_init();
  const auto number = static_cast<ggml_type>(shape.type);
  const ggml_type_traits* type = ggml_get_type_traits(number);
  const ggml_type_traits_cpu* cpu_type = ggml_get_type_traits_cpu(number);
  const bool readable = type->to_float != nullptr || shape.type == formats::TensorType::kF32;
  if (cpu_type->vec_dot == nullptr || !readable) {
    return MakeError(ErrorCode::kUnsupported,
                     std::string(Describe(shape.type).name) + " is no type for weights");
  }
  auto linear = std::make_unique<GgmlLinear>(shape, type, cpu_type);
  std::atomic<std::int64_t> bad_row{shape.out};
  pool.Run([&](Worker& worker) {
    AlignedArray<float> values(static_cast<std::size_t>(shape.in));
    const Worker::Range share = worker.Share(shape.out);
    for (std::int64_t row = share.begin; row < share.end; ++row) {
      std::memcpy(linear->Row(row), data.data() + row * shape.row_bytes,
                  static_cast<std::size_t>(shape.row_bytes));
      linear->GetRow(row, values.data());
      if (std::all_of(values.data(), values.data() + shape.in,
                      [](float value) { return std::isfinite(value); })) {
        continue;
      }
      LowerTo(bad_row, row);
      return;
    }
  });
  if (bad_row < shape.out) {
    return MakeError(ErrorCode::kCorrupt,
                     "row " + std::to_string(bad_row) + " holds a number that is not finite");
  }
  return linear;
}

}  // namespace ondine::compute
