#include "compute/weight_memory.h"

#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ondine::compute {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// Address space, not memory: pages become resident when they are written.
constexpr std::size_t kBlockBytes = std::size_t{64} << 20;

std::size_t RoundUp(std::size_t bytes, std::size_t multiple) {
  if (bytes > std::size_t{1} << 60) throw std::bad_alloc();
  return (bytes + multiple - 1) / multiple * multiple;
}

std::shared_ptr<std::byte> AllocateBlock(std::size_t bytes) {
  auto* block = static_cast<std::byte*>(std::aligned_alloc(kHugePage, bytes));
  if (block == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return {block, std::free};
}

// The block that small matrices are being put into.
struct Current {
  std::mutex mutex;
  std::weak_ptr<std::byte> block;  // weak: a block lives as long as a matrix in it
  std::size_t used = 0;
};

}  // namespace

std::shared_ptr<std::byte> AllocateAlone(std::size_t bytes) {
  return AllocateBlock(RoundUp(bytes, kHugePage));
}

std::shared_ptr<std::byte> AllocateWeights(std::size_t bytes) {
  if (bytes >= kBlockBytes / 2) return AllocateAlone(bytes);
  static Current current;
  const std::size_t rounded = RoundUp(bytes, kAlignment);
  const std::scoped_lock lock(current.mutex);
  std::shared_ptr<std::byte> block = current.block.lock();
  if (block == nullptr || kBlockBytes - current.used < rounded) {
    block = AllocateBlock(kBlockBytes);
    current.block = block;
    current.used = 0;
  }
  std::byte* piece = block.get() + current.used;
  current.used += rounded;
  return {std::move(block), piece};
}

}  // namespace ondine::compute
