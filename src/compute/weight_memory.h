// Memory for weights. A token reads all of them, which is bound by memory and, with pages of 4 KiB,
// as much by address translation (in a virtual machine: 1.5 to 1.9 times slower). Most matrices are
// smaller than a huge page, so they share large blocks that ask for huge pages.
#ifndef ONDINE_SRC_COMPUTE_WEIGHT_MEMORY_H_
#define ONDINE_SRC_COMPUTE_WEIGHT_MEMORY_H_

#include <cstddef>
#include <memory>

namespace ondine::compute {

// `bytes` bytes aligned to 64, uninitialised. A shared block is returned to the system when the
// last piece of it is gone. Any thread may call it. Throws std::bad_alloc.
std::shared_ptr<std::byte> AllocateWeights(std::size_t bytes);

// The same in a block of its own, which is returned when it is gone: for what does not live as long
// as weights do.
std::shared_ptr<std::byte> AllocateAlone(std::size_t bytes);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_WEIGHT_MEMORY_H_
