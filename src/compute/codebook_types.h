// Types of GGUF whose weights are entries of a codebook (IQ1, IQ2, IQ3) or ternary (TQ), taken
// apart into small integers and scales: the same values in more bits than the file has, for kernels
// that look nothing up.
#ifndef ONDINE_SRC_COMPUTE_CODEBOOK_TYPES_H_
#define ONDINE_SRC_COMPUTE_CODEBOOK_TYPES_H_

#include <cstddef>
#include <optional>

#include "compute/packed_format.h"
#include "formats/tensor_type.h"

namespace ondine::compute {

// Nullopt: not such a type.
std::optional<PackedFormat> FindCodebookFormat(formats::TensorType type);

// The eight blocks of 256 elements stored at `at`. `type` has a codebook format.
void ReadCodebookBlocks(formats::TensorType type, const std::byte* at, StoredBlock* out);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_CODEBOOK_TYPES_H_
