// A growing array for vector loads: aligned to a cache line, elements not initialised.
#ifndef ONDINE_SRC_COMPUTE_ALIGNED_ARRAY_H_
#define ONDINE_SRC_COMPUTE_ALIGNED_ARRAY_H_

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

namespace ondine::compute {

template <typename T>
class AlignedArray {
  static_assert(std::is_trivial_v<T>);

 public:
  static constexpr std::align_val_t kAlignment{64};

  AlignedArray() = default;
  explicit AlignedArray(std::size_t size) { Reserve(size); }

  // Makes room for `size` elements. Contents are lost if there was less room before.
  void Reserve(std::size_t size) {
    if (size <= capacity_) return;
    data_.reset();
    capacity_ = 0;
    data_.reset(static_cast<T*>(::operator new(size * sizeof(T), kAlignment)));
    capacity_ = size;
  }
  std::size_t capacity() const { return capacity_; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }

 private:
  struct Delete {
    void operator()(T* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<T, Delete> data_;
  std::size_t capacity_ = 0;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ALIGNED_ARRAY_H_
