// Keys and values of one layer. Every KV head has its own rows, because after a distillation the
// heads hold different tokens, though equally many.
#ifndef ONDINE_SRC_COMPUTE_KV_LAYER_H_
#define ONDINE_SRC_COMPUTE_KV_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "compute/kv_rows.h"
#include "compute/thread_pool.h"

namespace ondine::compute {

struct KvShape {
  int kv_heads = 0;
  int head_dim = 0;  // multiple of 32
};

class KvLayer {
 public:
  // Bytes of memory that a layer with room for `capacity` slots takes.
  static std::size_t MemoryFor(KvShape shape, KvType type, std::int64_t capacity);
  // In so many bytes of `memory`, aligned to 64, or in memory of its own, reserved here, once. It
  // never grows by itself.
  KvLayer(KvShape shape, KvType type, std::int64_t capacity,
          const std::shared_ptr<std::byte>& memory);
  KvLayer(KvShape shape, KvType type, std::int64_t capacity);
  KvLayer(KvLayer&&) noexcept = default;
  KvLayer& operator=(KvLayer&&) noexcept = default;

  const KvShape& shape() const { return shape_; }
  KvType type() const { return type_; }
  std::int64_t capacity() const { return capacity_; }
  std::size_t bytes() const;

  // Writes `n` tokens to slots [slot, slot + n): k and v are [n][kv_heads][head_dim] with rows
  // `stride` floats apart. All workers call it together; no barrier inside.
  void Write(const Worker& worker, std::int64_t slot, std::int64_t n, const float* k,
             const float* v, std::int64_t stride);

  // Moves the rows of `slots` (ascending) of one head to slots 0, 1, 2, ...: bytes are copied,
  // never requantised.
  void Keep(int head, std::span<const std::int32_t> slots);

  // Row contents as floats [head_dim].
  void ReadKey(int head, std::int64_t slot, float* out) const;
  void ReadValue(int head, std::int64_t slot, float* out) const;

  // The stored rows (see kv_rows.h) of one head, RowBytes() apart, from slot 0 on. kRowsBeyond more
  // may be loaded past the last slot, for kernels that take several at a time.
  static constexpr std::int64_t kRowsBeyond = 3;
  std::size_t RowBytes() const { return row_bytes_; }
  const std::byte* KeyRows(int head) const { return keys_.get() + HeadOffset(head); }
  const std::byte* ValueRows(int head) const { return values_.get() + HeadOffset(head); }

  // Stored bytes of slots [0, length) of one head, keys or values, in a fixed layout that does not
  // depend on the CPU: for .pot files. ExportBytes(length) is the size.
  std::size_t ExportBytes(std::int64_t length) const;
  void ExportKeys(int head, std::int64_t length, std::byte* out) const;
  void ExportValues(int head, std::int64_t length, std::byte* out) const;
  void ImportKeys(int head, std::int64_t length, const std::byte* in);
  void ImportValues(int head, std::int64_t length, const std::byte* in);

 private:
  std::size_t HeadOffset(int head) const { return head * capacity_ * row_bytes_; }

  KvShape shape_;
  KvType type_;
  std::int64_t capacity_;
  std::size_t row_bytes_;
  // [kv_heads][capacity] rows, in huge pages: a decoded token reads all of them.
  std::shared_ptr<std::byte> keys_, values_;
};

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_KV_LAYER_H_
