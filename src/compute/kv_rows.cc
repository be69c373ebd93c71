#include "compute/kv_rows.h"

#include "compute/kv_rows_loops.h"

namespace ondine::compute {

std::size_t KvRowBytes(KvType type, int dim) {
  const std::size_t scales = sizeof(std::uint16_t) * (dim / kKvBlock);
  switch (type) {
    case KvType::kF16: return sizeof(std::uint16_t) * dim;
    case KvType::kQ8_0: return dim + scales;
    case KvType::kQ4_0: return dim / 2 + scales;
  }
  return 0;
}

void EncodeKvRow(KvType type, const float* values, int dim, std::byte* row) {
  Encode(type, values, dim, row);
}

void DecodeKvRow(KvType type, const std::byte* row, int dim, float* values) {
  Decode(type, row, dim, values);
}

}  // namespace ondine::compute
