#include "models/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <string>
#include <utility>

#include "compute/weight_memory.h"

namespace ondine::models {

KvCache::KvCache(const DecoderSpec& spec, const KvSettings& settings)
    : settings_(settings), window_(spec.window) {
  ropes_.push_back(std::make_unique<compute::Rope>(spec.rope));
  if (window_ > 0) {
    ropes_.push_back(std::make_unique<compute::Rope>(spec.local_rope));
    // Moving the window to the front costs as much as a few tokens; the slack makes it rare.
    local_capacity_ = window_ + kMaxRewound + kMaxPrepared;
  }
  const compute::KvShape shape{spec.kv_heads, spec.padded_head_dim()};
  const auto capacity = [&](int layer) {
    return spec.IsLocal(layer) ? local_capacity_ : settings.capacity;
  };
  std::size_t bytes = 0;
  for (int i = 0; i < spec.layers; ++i) {
    bytes += compute::KvLayer::MemoryFor(shape, settings.type, capacity(i));
  }
  // In one piece, all of which is given back with the cache.
  const std::shared_ptr<std::byte> memory = compute::AllocateAlone(bytes);
  layers_.reserve(static_cast<std::size_t>(spec.layers));
  std::size_t used = 0;
  for (int i = 0; i < spec.layers; ++i) {
    const bool local = spec.IsLocal(i);
    compute::KvLayer store(shape, settings.type, capacity(i), {memory, memory.get() + used});
    layers_.push_back({local, std::move(store), ropes_[local ? 1 : 0].get()});
    used += compute::KvLayer::MemoryFor(shape, settings.type, capacity(i));
  }
}

Status KvCache::Check(const DecoderSpec& spec, const KvSettings& settings) {
  if (!spec.learned_positions) return {};
  if (settings.positions == Positions::kOriginal) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a model with learned positions has none for the places of a long text; let "
                     "survivors' positions be reset");
  }
  if (settings.capacity > spec.trained_context) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the model has learned " + std::to_string(spec.trained_context) +
                         " positions; " + std::to_string(settings.capacity) +
                         " entries of a cache are too many");
  }
  return {};
}

std::size_t KvCache::bytes() const {
  return std::accumulate(
      layers_.begin(), layers_.end(), std::size_t{0},
      [](std::size_t sum, const Layer& layer) { return sum + layer.store.bytes(); });
}

const KvCache::Layer* KvCache::FirstLayer(bool local) const {
  const auto found = std::find_if(layers_.begin(), layers_.end(),
                                  [&](const Layer& layer) { return layer.local == local; });
  return found == layers_.end() ? nullptr : &*found;
}

std::int64_t KvCache::NextPosition(const Layer& layer) const {
  return RotatesOnRead(layer) ? length_ : position_;
}

bool KvCache::Prepare(std::int64_t n) {
  assert(n <= kMaxPrepared);
  if (length_ + n > settings_.capacity) return false;
  if (settings_.positions == Positions::kReset) ropes_[0]->Reserve(length_ + n);
  if (window_ > 0 && local_length_ + n > local_capacity_) {
    const std::int64_t kept = std::min<std::int64_t>(window_ + kMaxRewound, local_length_);
    std::vector<std::int32_t> slots(static_cast<std::size_t>(kept));
    std::iota(slots.begin(), slots.end(), static_cast<std::int32_t>(local_length_ - kept));
    for (Layer& layer : layers_) {
      if (!layer.local) continue;
      for (int head = 0; head < layer.store.shape().kv_heads; ++head) layer.store.Keep(head, slots);
    }
    local_length_ = kept;
  }
  return true;
}

void KvCache::Advance(std::int64_t n) {
  length_ += n;
  position_ += n;
  if (window_ > 0) local_length_ += n;
}

void KvCache::Rewind(const MarkPoint& mark) {
  local_length_ = std::max<std::int64_t>(0, local_length_ - (position_ - mark.position));
  length_ = mark.length;
  position_ = mark.position;
}

bool KvCache::CanRewind(std::int64_t tokens) const {
  return window_ == 0 || local_length_ + tokens <= local_capacity_;
}

void KvCache::Restore(std::int64_t length, std::int64_t position, std::int64_t local_length) {
  length_ = length;
  position_ = position;
  local_length_ = local_length;
}

}  // namespace ondine::models
