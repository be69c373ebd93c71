// What files and copies of a pot are made of: rows of keys and values, and entry lists.
#ifndef ONDINE_SRC_MEMORY_POT_PARTS_H_
#define ONDINE_SRC_MEMORY_POT_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compute/kv_layer.h"
#include "memory/archive.h"
#include "ondine/result.h"

namespace ondine::memory {

using Bytes = std::span<const std::byte>;
using Writer = std::function<Status(Bytes)>;
using Reader = std::function<Status(std::span<std::byte>)>;  // fills all of it

// Keys or values of the first `rows` rows, one head at a time: never more than that is in memory
// twice.
Status WriteHeads(const compute::KvLayer& store, std::int64_t rows, bool keys, const Writer& write);
Status ReadHeads(compute::KvLayer& store, std::int64_t rows, bool keys, const Reader& read);

// Origins or surprises of a layer's heads.
Status WriteEntries(const std::vector<HeadEntries>& heads, bool origins, const Writer& write);
Status ReadEntries(std::vector<HeadEntries>& heads, std::int64_t rows, bool origins,
                   const Reader& read);

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_POT_PARTS_H_
