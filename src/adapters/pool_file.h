// Pools of adapters in GGUF files: docs/formats/pool.md.
#ifndef ONDINE_SRC_ADAPTERS_POOL_FILE_H_
#define ONDINE_SRC_ADAPTERS_POOL_FILE_H_

#include <string>

#include "adapters/pool.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::adapters {

// Errors: kUnsupported (no pool, another version), kCorrupt (shapes that do not fit together, NaN,
// an indicator that has not length 1, a temperature that is not positive), naming the key or
// tensor.
Result<Pool> ReadPool(const formats::GgufFile& file, compute::ThreadPool& pool);

// Factors are stored in 16 bits. All matrices have one rank. Errors: those of GgufWriter::Write.
Status WritePool(const Pool& pool, const std::string& path);

}  // namespace ondine::adapters

#endif  // ONDINE_SRC_ADAPTERS_POOL_FILE_H_
