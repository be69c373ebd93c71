// The keys and values of all layers during a conversation or a reading.
#ifndef ONDINE_SRC_MODELS_KV_CACHE_H_
#define ONDINE_SRC_MODELS_KV_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "compute/kv_layer.h"
#include "compute/rope.h"
#include "compute/thread_pool.h"
#include "models/decoder_spec.h"
#include "ondine/result.h"

namespace ondine::models {

// Where the positions of global layers come from.
enum class Positions {
  kReset,     // an entry's place in the cache: never more than the capacity (InfiniPot's CR-RoPE)
  kOriginal,  // the token's place in the stream, fixed when it is read
};

struct KvSettings {
  std::int64_t capacity = 0;  // entries per global layer and head, at any moment
  compute::KvType type = compute::KvType::kF16;
  Positions positions = Positions::kReset;
};

// Global layers hold length() entries in slots 0, 1, 2, ... Sliding-window layers hold the last
// tokens of the stream at running positions, whatever becomes of the global ones.
class KvCache {
 public:
  KvCache(const DecoderSpec& spec, const KvSettings& settings);
  // kInvalidArgument where a model with learned positions would need some that it has not.
  static Status Check(const DecoderSpec& spec, const KvSettings& settings);

  const KvSettings& settings() const { return settings_; }
  std::int64_t capacity() const { return settings_.capacity; }
  std::int64_t length() const { return length_; }      // entries of each global layer and head
  std::int64_t position() const { return position_; }  // tokens that went through so far
  std::size_t bytes() const;

  struct Layer {
    bool local = false;
    compute::KvLayer store;
    compute::Rope* rope;  // shared by the layers of a kind
  };
  int layers() const { return static_cast<int>(layers_.size()); }
  const Layer& layer(int index) const { return layers_[static_cast<std::size_t>(index)]; }
  // The first of the sliding-window layers, or of the global ones; null where there is none.
  const Layer* FirstLayer(bool local) const;
  compute::KvLayer& store(int index) { return layers_[static_cast<std::size_t>(index)].store; }

  // Where a layer puts the next token, and at which position its query (and, unless keys are
  // rotated when read, its key) is rotated.
  std::int64_t NextSlot(const Layer& layer) const { return layer.local ? local_length_ : length_; }
  std::int64_t NextPosition(const Layer& layer) const;
  bool RotatesOnRead(const Layer& layer) const {
    return !layer.local && settings_.positions == Positions::kReset;
  }

  // Makes room for `n` more tokens in the rings and rotation tables; false where the capacity of
  // the global layers does not allow them. n <= kMaxPrepared.
  static constexpr std::int64_t kMaxPrepared = 512;
  // Rings keep this much more than the window, so that as many tokens can always be taken back.
  static constexpr std::int64_t kMaxRewound = 64;
  bool Prepare(std::int64_t n);
  // The tokens of the pass are in.
  void Advance(std::int64_t n);

  // Forgets the newest tokens: back to the state of Mark(). Only passes in between are undone, not
  // SetLength(), and only as many tokens as CanRewind() allowed at the mark: a ring that has moved
  // since may have lost entries of the window, and sums over another place in it round differently.
  struct MarkPoint {
    std::int64_t length, position;
  };
  MarkPoint Mark() const { return {length_, position_}; }
  void Rewind(const MarkPoint& mark);
  bool CanRewind(std::int64_t tokens) const;

  // After a distillation: every global layer's heads have been gathered to `length` entries.
  void SetLength(std::int64_t length) { length_ = length; }
  // For restoring a saved state: ring contents must have been imported.
  void Restore(std::int64_t length, std::int64_t position, std::int64_t local_length);
  int window() const { return window_; }  // of sliding-window layers; 0: there are none
  std::int64_t local_length() const { return local_length_; }
  std::int64_t local_capacity() const { return local_capacity_; }
  void Clear() { Restore(0, 0, 0); }

 private:
  KvSettings settings_;
  std::vector<std::unique_ptr<compute::Rope>> ropes_;
  std::vector<Layer> layers_;
  std::int64_t length_ = 0;
  std::int64_t position_ = 0;
  int window_ = 0;
  std::int64_t local_length_ = 0;    // ring entries in use
  std::int64_t local_capacity_ = 0;  // window + slack, so that entries move only now and then
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_KV_CACHE_H_
