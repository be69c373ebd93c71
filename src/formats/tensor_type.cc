#include "formats/tensor_type.h"

#include <cassert>
#include <string>

namespace ondine::formats {

// Sizes as in ggml's block structures: the scales of a block (f16, f32 or packed) plus its codes.
std::optional<TensorTypeInfo> FindTensorType(std::uint32_t number) {
  switch (static_cast<TensorType>(number)) {
    case TensorType::kF32: return TensorTypeInfo{"F32", 1, 4};
    case TensorType::kF16: return TensorTypeInfo{"F16", 1, 2};
    case TensorType::kQ4_0: return TensorTypeInfo{"Q4_0", 32, 2 + 16};
    case TensorType::kQ4_1: return TensorTypeInfo{"Q4_1", 32, 4 + 16};
    case TensorType::kQ5_0: return TensorTypeInfo{"Q5_0", 32, 2 + 4 + 16};
    case TensorType::kQ5_1: return TensorTypeInfo{"Q5_1", 32, 4 + 4 + 16};
    case TensorType::kQ8_0: return TensorTypeInfo{"Q8_0", 32, 2 + 32};
    case TensorType::kQ8_1: return TensorTypeInfo{"Q8_1", 32, 4 + 32};
    case TensorType::kQ2_K: return TensorTypeInfo{"Q2_K", 256, 4 + 16 + 64};
    case TensorType::kQ3_K: return TensorTypeInfo{"Q3_K", 256, 2 + 12 + 32 + 64};
    case TensorType::kQ4_K: return TensorTypeInfo{"Q4_K", 256, 4 + 12 + 128};
    case TensorType::kQ5_K: return TensorTypeInfo{"Q5_K", 256, 4 + 12 + 32 + 128};
    case TensorType::kQ6_K: return TensorTypeInfo{"Q6_K", 256, 2 + 16 + 64 + 128};
    case TensorType::kQ8_K: return TensorTypeInfo{"Q8_K", 256, 4 + 256 + 32};
    case TensorType::kIQ2_XXS: return TensorTypeInfo{"IQ2_XXS", 256, 2 + 64};
    case TensorType::kIQ2_XS: return TensorTypeInfo{"IQ2_XS", 256, 2 + 64 + 8};
    case TensorType::kIQ3_XXS: return TensorTypeInfo{"IQ3_XXS", 256, 2 + 96};
    case TensorType::kIQ1_S: return TensorTypeInfo{"IQ1_S", 256, 2 + 32 + 16};
    case TensorType::kIQ4_NL: return TensorTypeInfo{"IQ4_NL", 32, 2 + 16};
    case TensorType::kIQ3_S: return TensorTypeInfo{"IQ3_S", 256, 2 + 64 + 8 + 32 + 4};
    case TensorType::kIQ2_S: return TensorTypeInfo{"IQ2_S", 256, 2 + 64 + 8 + 8};
    case TensorType::kIQ4_XS: return TensorTypeInfo{"IQ4_XS", 256, 2 + 2 + 4 + 128};
    case TensorType::kI8: return TensorTypeInfo{"I8", 1, 1};
    case TensorType::kI16: return TensorTypeInfo{"I16", 1, 2};
    case TensorType::kI32: return TensorTypeInfo{"I32", 1, 4};
    case TensorType::kI64: return TensorTypeInfo{"I64", 1, 8};
    case TensorType::kF64: return TensorTypeInfo{"F64", 1, 8};
    case TensorType::kIQ1_M: return TensorTypeInfo{"IQ1_M", 256, 32 + 16 + 8};
    case TensorType::kBF16: return TensorTypeInfo{"BF16", 1, 2};
    case TensorType::kTQ1_0: return TensorTypeInfo{"TQ1_0", 256, 2 + 48 + 4};
    case TensorType::kTQ2_0: return TensorTypeInfo{"TQ2_0", 256, 2 + 64};
    case TensorType::kMXFP4: return TensorTypeInfo{"MXFP4", 32, 1 + 16};
    case TensorType::kNVFP4: return TensorTypeInfo{"NVFP4", 64, 4 + 32};
    case TensorType::kQ1_0: return TensorTypeInfo{"Q1_0", 128, 2 + 16};
    case TensorType::kQ2_0: return TensorTypeInfo{"Q2_0", 64, 2 + 16};
  }
  return std::nullopt;
}

TensorTypeInfo Describe(TensorType type) {
  const auto info = FindTensorType(static_cast<std::uint32_t>(type));
  assert(info.has_value());
  return *info;
}

Result<std::uint64_t> StoredBytes(TensorType type, std::span<const std::int64_t> shape) {
  const auto info = FindTensorType(static_cast<std::uint32_t>(type));
  if (!info) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "unknown type number " + std::to_string(static_cast<std::uint32_t>(type)));
  }
  if (shape.empty() || shape.size() > 4) {
    return MakeError(ErrorCode::kInvalidArgument,
                     std::to_string(shape.size()) + " dimensions: it must be 1 to 4");
  }
  std::int64_t elements = 1;
  for (const std::int64_t length : shape) {
    if (length < 1) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "a dimension of length " + std::to_string(length));
    }
    if (__builtin_mul_overflow(elements, length, &elements)) {
      return MakeError(ErrorCode::kInvalidArgument, "more than 2^63 elements");
    }
  }
  if (shape[0] % info->block_size != 0) {
    return MakeError(ErrorCode::kInvalidArgument, "rows of " + std::to_string(shape[0]) +
                                                      " elements, not a multiple of the " +
                                                      std::to_string(info->block_size) + " of a " +
                                                      std::string(info->name) + " block");
  }
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / info->block_size, info->bytes_per_block, &bytes)) {
    return MakeError(ErrorCode::kInvalidArgument, "more than 2^63 bytes");
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace ondine::formats
