#include "compute/kv_rows_loops.h"

namespace ondine::compute {

void EncodeKvRowAvx2(KvType type, const float* values, int dim, std::byte* row) {
  Encode(type, values, dim, row);
}

}  // namespace ondine::compute
