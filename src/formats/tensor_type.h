// Element types of stored tensors, with ggml's numbers and block layouts.
#ifndef ONDINE_SRC_FORMATS_TENSOR_TYPE_H_
#define ONDINE_SRC_FORMATS_TENSOR_TYPE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ondine/result.h"

namespace ondine::formats {

enum class TensorType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
  kQ2_0 = 42,
};

struct TensorTypeInfo {
  std::string_view name;    // "Q4_1"
  std::int64_t block_size;  // elements that share one block
  std::int64_t bytes_per_block;
};

// Nullopt for a number that is no known type.
std::optional<TensorTypeInfo> FindTensorType(std::uint32_t number);
TensorTypeInfo Describe(TensorType type);

// Bytes of a tensor of `shape`, innermost dimension first. kInvalidArgument, with the reason,
// unless there are 1 to 4 dimensions of at least 1, rows are whole blocks and the size fits into 63
// bits.
Result<std::uint64_t> StoredBytes(TensorType type, std::span<const std::int64_t> shape);

}  // namespace ondine::formats

#endif  // ONDINE_SRC_FORMATS_TENSOR_TYPE_H_
