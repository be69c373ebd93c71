#include "compute/kv_layer.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "compute/cpu_features.h"
#include "compute/weight_memory.h"

namespace ondine::compute {
namespace {

auto* Encoder() {
#if defined(__x86_64__)
  if (HasAvx512()) return EncodeKvRowAvx512;
  if (HasAvx2()) return EncodeKvRowAvx2;
#endif
  return EncodeKvRow;
}

}  // namespace

KvLayer::KvLayer(KvShape shape, KvType type, std::int64_t capacity,
                 const std::shared_ptr<std::byte>& memory)
    : shape_(shape),
      type_(type),
      capacity_(capacity),
      row_bytes_(KvRowBytes(type, shape.head_dim)),
      keys_(memory),
      values_(memory, memory.get() + MemoryFor(shape, type, capacity) / 2) {
  assert(shape.head_dim % kKvBlock == 0);
}

KvLayer::KvLayer(KvShape shape, KvType type, std::int64_t capacity)
    : KvLayer(shape, type, capacity, AllocateAlone(MemoryFor(shape, type, capacity))) {}

std::size_t KvLayer::MemoryFor(KvShape shape, KvType type, std::int64_t capacity) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t rows =
      (shape.kv_heads * capacity + kRowsBeyond) * KvRowBytes(type, shape.head_dim);
  return 2 * ((rows + kAlignment - 1) / kAlignment * kAlignment);
}

std::size_t KvLayer::bytes() const {
  return 2 * HeadOffset(shape_.kv_heads);
}

void KvLayer::Write(const Worker& worker, std::int64_t slot, std::int64_t n, const float* k,
                    const float* v, std::int64_t stride) {
  assert(slot >= 0 && slot + n <= capacity_);
  const int dim = shape_.head_dim;
  const auto encode = Encoder();
  const Worker::Range range = worker.Share(n);
  for (std::int64_t i = range.begin; i < range.end; ++i) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const std::size_t row = HeadOffset(head) + (slot + i) * row_bytes_;
      encode(type_, k + i * stride + head * dim, dim, keys_.get() + row);
      encode(type_, v + i * stride + head * dim, dim, values_.get() + row);
    }
  }
}

void KvLayer::Keep(int head, std::span<const std::int32_t> slots) {
  const std::size_t size = slots.size();
  for (std::byte* rows : {keys_.get() + HeadOffset(head), values_.get() + HeadOffset(head)}) {
    for (std::size_t begin = 0, end = 1; begin < size; begin = end++) {
      while (end < size && slots[end] == slots[end - 1] + 1) ++end;
      assert(slots[begin] >= static_cast<std::int64_t>(begin) && slots[end - 1] < capacity_);
      if (slots[begin] == static_cast<std::int64_t>(begin)) continue;
      std::memmove(rows + begin * row_bytes_, rows + slots[begin] * row_bytes_,
                   (end - begin) * row_bytes_);
    }
  }
}

void KvLayer::ReadKey(int head, std::int64_t slot, float* out) const {
  DecodeKvRow(type_, KeyRows(head) + slot * row_bytes_, shape_.head_dim, out);
}

void KvLayer::ReadValue(int head, std::int64_t slot, float* out) const {
  DecodeKvRow(type_, ValueRows(head) + slot * row_bytes_, shape_.head_dim, out);
}

std::size_t KvLayer::ExportBytes(std::int64_t length) const {
  return length * row_bytes_;
}

void KvLayer::ExportKeys(int head, std::int64_t length, std::byte* out) const {
  std::copy_n(KeyRows(head), ExportBytes(length), out);
}

void KvLayer::ExportValues(int head, std::int64_t length, std::byte* out) const {
  std::copy_n(ValueRows(head), ExportBytes(length), out);
}

void KvLayer::ImportKeys(int head, std::int64_t length, const std::byte* in) {
  assert(length <= capacity_);
  std::copy_n(in, ExportBytes(length), keys_.get() + HeadOffset(head));
}

void KvLayer::ImportValues(int head, std::int64_t length, const std::byte* in) {
  assert(length <= capacity_);
  std::copy_n(in, ExportBytes(length), values_.get() + HeadOffset(head));
}

}  // namespace ondine::compute
