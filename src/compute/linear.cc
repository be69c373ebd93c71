#include "compute/linear.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "base/try.h"
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

#if defined(__x86_64__) || defined(__aarch64__)
bool Allows(KernelChoice choice, KernelChoice wanted) {
  return choice == KernelChoice::kAuto || choice == wanted;
}
#endif
#if defined(__x86_64__)
bool AllowsTiles(KernelChoice choice) {
  return choice == KernelChoice::kAuto;
}
#endif

// The kernel of the type's own layout. Null: this CPU has none for it, or it is not wanted.
PackedKernel ChoosePackedKernel(KernelChoice choice) {
  if (choice == KernelChoice::kScalar) return MultiplyPackedScalar;
#if defined(__x86_64__)
  if (Allows(choice, KernelChoice::kAvx512) && HasAvx512Vnni()) return MultiplyPackedAvx512;
  if (Allows(choice, KernelChoice::kAvxVnni) && HasAvxVnni()) return MultiplyPackedAvxVnni;
  if (Allows(choice, KernelChoice::kAvx2) && HasAvx2()) return MultiplyPackedAvx2;
#elif defined(__aarch64__)
  if (Allows(choice, KernelChoice::kNeon) && HasNeonDot()) return MultiplyPackedNeon;
#endif
  return nullptr;
}

FloatKernel ChooseFloatKernel(const LinearShape& shape, KernelChoice choice) {
  if (choice == KernelChoice::kScalar) return MultiplyFloatScalar;
#if defined(__x86_64__)
  if (Allows(choice, KernelChoice::kAvx512) && HasAvx512()) {
    if (shape.type != TensorType::kBF16) return MultiplyFloatAvx512;
    if (AllowsTiles(choice) && HasAmxBFloat16()) return MultiplyBFloat16Amx;
    if (HasAvx512BFloat16()) return MultiplyBFloat16Avx512;
    if (shape.in % 2 == 0) return MultiplyFloatAvx512;
  }
  if (Allows(choice, KernelChoice::kAvx2) && HasAvx2()) {
    if (shape.type != TensorType::kBF16 || shape.in % 2 == 0) return MultiplyFloatAvx2;
  }
#elif defined(__aarch64__)
  if (Allows(choice, KernelChoice::kNeon) && HasNeon()) {
    if (shape.type != TensorType::kBF16 || shape.in % 2 == 0) return MultiplyFloatNeon;
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

Int8Kernels ChooseInt8Kernels(KernelChoice choice) {
#if defined(__x86_64__)
  if (AllowsTiles(choice) && HasAmxInt8()) return {MultiplyInt8Amx, AddInt8OutliersAvx512};
  if (Allows(choice, KernelChoice::kAvx512) && HasAvx512Vnni())
    return {MultiplyInt8Avx512, AddInt8OutliersAvx512};
  if (Allows(choice, KernelChoice::kAvxVnni) && HasAvxVnni()) {
    return {MultiplyInt8AvxVnni, AddInt8OutliersAvx2};
  }
  if (Allows(choice, KernelChoice::kAvx2) && HasAvx2()) {
    return {MultiplyInt8Avx2, AddInt8OutliersAvx2};
  }
#elif defined(__aarch64__)
  if (Allows(choice, KernelChoice::kNeon) && HasNeonDot()) {
    return {MultiplyInt8Neon, AddInt8OutliersNeon, kNeonCodeOffset};
  }
#endif
  return {MultiplyInt8Scalar, AddInt8OutliersScalar};
}

Status CheckInt8(std::span<const float> scales, const StaticCode& input, const LinearShape& shape) {
  const auto corrupt = [](const std::string& what) { return MakeError(ErrorCode::kCorrupt, what); };
  if (shape.in > Int8Weights::kMostColumns) {
    return MakeError(ErrorCode::kUnsupported,
                     std::to_string(shape.in) + " columns of 8 bits: their sums need more than 32");
  }
  if (scales.size() != 1 && std::cmp_not_equal(scales.size(), shape.out)) {
    return corrupt(std::to_string(scales.size()) + " scales for " + std::to_string(shape.out) +
                   " outputs");
  }
  for (const float scale : scales) {
    if (!std::isfinite(scale) || scale < 0) return corrupt("a scale of weights that is none");
  }
  if (!std::isfinite(input.scale) || input.scale <= 0 || !std::isfinite(1 / input.scale)) {
    return corrupt("the scale of its inputs is none");
  }
  if (input.largest < 1 || input.largest > 255 || input.zero < 0 || input.zero > input.largest) {
    return corrupt("the code of its inputs has a zero that it does not hold");
  }
  return {};
}

// Of a product at a time: 128 x 128 floats, and a second one's, stay in the second-level cache.
constexpr std::int64_t kTileOutputs = 128, kTileRows = 128;

// Makes y tile by tile. multiply(outputs, rows, product, stride) writes a tile's floats;
// activate(outputs, i, floats) changes those of its row i; and where there is a code, they are then
// coded into y.
template <typename Multiply, typename Activate>
void ForTiles(const Worker& worker, std::int64_t out, std::int64_t all_rows, Activations& y,
              const StaticCode* code, Multiply&& multiply, Activate&& activate) {
  thread_local AlignedArray<float> products;
  if (code != nullptr) products.Reserve(kTileRows * kTileOutputs);
  const std::int64_t stride = code != nullptr ? kTileOutputs : y.width();
  const Worker::Range share = worker.Share(out, Linear::kOutputGrain);
  for (std::int64_t row = 0; row < all_rows; row += kTileRows) {
    const Worker::Range rows = {row, std::min(row + kTileRows, all_rows)};
    for (std::int64_t output = share.begin; output < share.end; output += kTileOutputs) {
      const Worker::Range outputs = {output, std::min(output + kTileOutputs, share.end)};
      float* product = code != nullptr ? products.data() : y.Row(row) + output;
      multiply(outputs, rows, product, stride);
      const std::int64_t count = outputs.end - outputs.begin;
      for (std::int64_t i = 0; i < rows.end - rows.begin; ++i, product += stride) {
        activate(outputs, i, std::span(product, static_cast<std::size_t>(count)));
        if (code != nullptr) y.FinishStatic(row + i, output, count, product, *code);
      }
    }
  }
}

std::string NoRoom(std::span<const std::byte> data) {
  return "no room for a weight matrix of " + std::to_string(data.size()) + " bytes";
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
  ONDINE_ASSIGN(const LinearShape shape, CheckShape(type, in, out, data.size()));
  ONDINE_ASSIGN(LinearImpl impl,
                base::Guarded([&] { return CreateImpl(shape, data, pool, choice); }, NoRoom(data)));
  return Linear(std::move(impl));
}

Result<Linear> Linear::CreateInt8(std::int64_t in, std::int64_t out,
                                  std::span<const std::byte> data, std::span<const float> scales,
                                  const StaticCode& input, ThreadPool& pool, KernelChoice choice) {
  ONDINE_ASSIGN(const LinearShape shape, CheckShape(TensorType::kI8, in, out, data.size()));
  ONDINE_TRY(CheckInt8(scales, input, shape));
  const auto create = [&] {
    return CreateInt8Linear(shape, data, scales, input, pool, ChooseInt8Kernels(choice));
  };
  ONDINE_ASSIGN(LinearImpl impl, base::Guarded(create, NoRoom(data)));
  return Linear(std::move(impl));
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

const StaticCode* Linear::input_code() const {
  return impl_->input_code();
}

void Linear::Multiply(const Worker& worker, const Activations& x, Store store, float* y,
                      std::int64_t stride, std::span<const float> bias) const {
  const Worker::Range outputs = worker.Share(out(), kOutputGrain);
  if (outputs.begin == outputs.end) return;
  const auto first = static_cast<std::size_t>(outputs.begin);
  const std::size_t count = static_cast<std::size_t>(outputs.end) - first;
  // With a bias in parts, to which it is added while they are in the second-level cache.
  const std::int64_t rows_at_once = bias.empty() ? x.rows() : kTileRows;
  for (std::int64_t row = 0; row < x.rows(); row += rows_at_once) {
    const Worker::Range rows = {row, std::min(row + rows_at_once, x.rows())};
    impl_->Multiply(outputs, x, rows, store, y + row * stride + outputs.begin, stride);
    if (bias.empty()) continue;
    for (std::int64_t i = rows.begin; i < rows.end; ++i) {
      Add(bias.subspan(first, count), {y + i * stride + outputs.begin, count});
    }
  }
}

void Linear::MultiplyPart(Worker::Range outputs, Worker::Range rows, const Activations& x, float* y,
                          std::int64_t stride) const {
  impl_->Multiply(outputs, x, rows, Store::kAssign, y, stride);
}

void Linear::MultiplyGated(const Worker& worker, const Linear& gate, const Linear& up,
                           GateActivation activation, const Activations& x, Activations& y,
                           const StaticCode* code) {
  thread_local AlignedArray<float> factors;
  factors.Reserve(kTileRows * kTileOutputs);
  const auto multiply = [&](Worker::Range outputs, Worker::Range rows, float* product,
                            std::int64_t stride) {
    gate.impl_->Multiply(outputs, x, rows, Store::kAssign, product, stride);
    up.impl_->Multiply(outputs, x, rows, Store::kAssign, factors.data(), kTileOutputs);
  };
  const auto activate = [&](Worker::Range, std::int64_t row, std::span<float> product) {
    ApplyGate(activation, product, {factors.data() + row * kTileOutputs, product.size()});
  };
  ForTiles(worker, gate.out(), x.rows(), y, code, multiply, activate);
}

void Linear::MultiplyActivated(const Worker& worker, const Activations& x,
                               std::span<const float> bias, void (*activation)(std::span<float>),
                               Activations& y, const StaticCode* code) const {
  const auto multiply = [&](Worker::Range outputs, Worker::Range rows, float* product,
                            std::int64_t stride) {
    impl_->Multiply(outputs, x, rows, Store::kAssign, product, stride);
  };
  const auto activate = [&](Worker::Range outputs, std::int64_t, std::span<float> product) {
    Add(bias.subspan(static_cast<std::size_t>(outputs.begin), product.size()), product);
    activation(product);
  };
  ForTiles(worker, out(), x.rows(), y, code, multiply, activate);
}

void Linear::GetRow(std::int64_t row, float* out) const {
  impl_->GetRow(row, out);
}

}  // namespace ondine::compute
