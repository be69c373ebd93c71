#include "compute/linear.h"

#include <algorithm>
#include <limits>
#include <new>
#include <string>

#include "compute/aligned_array.h"
#include "compute/cpu_features.h"
#include "compute/linear_impl.h"

namespace ondine::compute {
namespace {

using formats::TensorType;

Result<LinearShape> CheckShape(TensorType type, std::int64_t in, std::int64_t out,
                               std::size_t size) {
  const auto info = formats::FindTensorType(static_cast<std::uint32_t>(type));
  if (!info) return MakeError(ErrorCode::kUnsupported, "unknown tensor type");
  const std::string shape = std::to_string(out) + " x " + std::to_string(in);
  if (in < 1 || out < 1 || in > std::numeric_limits<std::int32_t>::max() ||
      out > std::numeric_limits<std::int32_t>::max() || in % info->block_size != 0) {
    return MakeError(ErrorCode::kCorrupt, "a matrix of type " + std::string(info->name) +
                                              " cannot have the shape " + shape);
  }
  const std::int64_t row_bytes = in / info->block_size * info->bytes_per_block;
  if (size / static_cast<std::size_t>(row_bytes) != static_cast<std::size_t>(out) ||
      size % static_cast<std::size_t>(row_bytes) != 0) {
    return MakeError(ErrorCode::kCorrupt, std::to_string(size) + " bytes for a matrix of type " +
                                              std::string(info->name) + " and shape " + shape +
                                              " that needs " + std::to_string(row_bytes * out));
  }
  return LinearShape{type, in, out, row_bytes};
}

// The kernel of the type's own layout. Null: this CPU has none for it, or it is not wanted.
PackedKernel ChoosePackedKernel(KernelChoice choice) {
  if (choice == KernelChoice::kScalar) return MultiplyPackedScalar;
#if defined(__x86_64__)
  if (choice == KernelChoice::kAuto && HasAvx512Vnni()) return MultiplyPackedAvx512;
#endif
  return nullptr;
}

FloatKernel ChooseFloatKernel(const LinearShape& shape, KernelChoice choice) {
  if (choice == KernelChoice::kScalar) return MultiplyFloatScalar;
#if defined(__x86_64__)
  if (choice == KernelChoice::kAuto && HasAvx512()) {
    if (shape.type != TensorType::kBF16) return MultiplyFloatAvx512;
    if (HasAvx512BFloat16()) return MultiplyBFloat16Avx512;
    if (shape.in % 2 == 0) return MultiplyFloatAvx512;
  }
#endif
  return nullptr;
}

Result<LinearImpl> CreateImpl(const LinearShape& shape, std::span<const std::byte> data,
                              ThreadPool& pool, KernelChoice choice) {
  if (const auto format = FindPackedFormat(shape.type)) {
    if (const PackedKernel kernel = ChoosePackedKernel(choice)) {
      return CreatePackedLinear(shape, *format, data, pool, kernel);
    }
  } else if (shape.type == TensorType::kF32 || shape.type == TensorType::kF16 ||
             shape.type == TensorType::kBF16) {
    if (const FloatKernel kernel = ChooseFloatKernel(shape, choice)) {
      return CreateFloatLinear(shape, data, pool, kernel);
    }
  }
  return CreateGgmlLinear(shape, data, pool);
}

}  // namespace

Linear::Linear() = default;
Linear::Linear(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Linear::Linear(Linear&&) noexcept = default;
Linear& Linear::operator=(Linear&&) noexcept = default;
Linear::~Linear() = default;

Result<Linear> Linear::Create(TensorType type, std::int64_t in, std::int64_t out,
                              std::span<const std::byte> data, ThreadPool& pool,
                              KernelChoice choice) {
  const Result<LinearShape> shape = CheckShape(type, in, out, data.size());
  if (!shape) return tl::make_unexpected(shape.error());
  try {
    Result<LinearImpl> impl = CreateImpl(*shape, data, pool, choice);
    if (!impl) return tl::make_unexpected(std::move(impl).error());
    return Linear(std::move(*impl));
  } catch (const std::bad_alloc&) {
    return MakeError(ErrorCode::kOutOfMemory,
                     "no room for a weight matrix of " + std::to_string(data.size()) + " bytes");
  }
}

std::int64_t Linear::in() const {
  return impl_->shape().in;
}
std::int64_t Linear::out() const {
  return impl_->shape().out;
}
std::size_t Linear::bytes() const {
  return impl_ == nullptr ? 0 : impl_->bytes();
}
TensorType Linear::type() const {
  return impl_->shape().type;
}

void Linear::Multiply(const Worker& worker, const Activations& x, Store store, float* y,
                      std::int64_t stride) const {
  const Worker::Range outputs = worker.Share(out(), kOutputGrain);
  if (outputs.begin == outputs.end) return;
  impl_->Multiply(outputs, x, {0, x.rows()}, store, y + outputs.begin, stride);
}

void Linear::MultiplyPart(Worker::Range outputs, Worker::Range rows, const Activations& x, float* y,
                          std::int64_t stride) const {
  impl_->Multiply(outputs, x, rows, Store::kAssign, y, stride);
}

void Linear::MultiplyGated(const Worker& worker, const Linear& gate, const Linear& up,
                           GateActivation activation, const Activations& x, float* y,
                           std::int64_t stride) {
  // Of both products at a time: 128 x 128 floats of each stay in the second-level cache.
  constexpr std::int64_t kOutputs = 128, kRows = 128;
  thread_local AlignedArray<float> factors;
  factors.Reserve(kOutputs * kRows);
  const Worker::Range share = worker.Share(gate.out(), kOutputGrain);
  for (std::int64_t row = 0; row < x.rows(); row += kRows) {
    const Worker::Range rows = {row, std::min(row + kRows, x.rows())};
    for (std::int64_t output = share.begin; output < share.end; output += kOutputs) {
      const Worker::Range outputs = {output, std::min(output + kOutputs, share.end)};
      float* gates = y + row * stride + output;
      gate.impl_->Multiply(outputs, x, rows, Store::kAssign, gates, stride);
      up.impl_->Multiply(outputs, x, rows, Store::kAssign, factors.data(), kOutputs);
      const auto count = static_cast<std::size_t>(outputs.end - outputs.begin);
      for (std::int64_t i = 0; i < rows.end - rows.begin; ++i) {
        ApplyGate(activation, {gates + i * stride, count}, {factors.data() + i * kOutputs, count});
      }
    }
  }
}

void Linear::GetRow(std::int64_t row, float* out) const {
  impl_->GetRow(row, out);
}

}  // namespace ondine::compute
