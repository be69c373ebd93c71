#include "base/failing_allocation.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace ondine::testing {

std::atomic<std::int64_t> allocations_left = 0;

namespace {

void* Allocate(std::size_t bytes, std::size_t alignment) {
  if (allocations_left.load(std::memory_order_relaxed) > 0 &&
      allocations_left.fetch_sub(1, std::memory_order_relaxed) == 1) {
    throw std::bad_alloc();
  }
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace
}  // namespace ondine::testing

void* operator new(std::size_t bytes) {
  return ondine::testing::Allocate(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return ondine::testing::Allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept try {
  return operator new(bytes);
} catch (const std::bad_alloc&) {
  return nullptr;
}
void operator delete(void* block) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  std::free(block);
}
