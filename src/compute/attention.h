// Attention of grouped query heads over a KvLayer.
//
// Results are bit-identical for any number of threads and however a text is cut into calls, except
// that calls of up to kFewQueries queries sum in another order than longer ones, and in floats
// where those multiply bytes (AttentionKernel::kInt8).
#ifndef ONDINE_SRC_COMPUTE_ATTENTION_H_
#define ONDINE_SRC_COMPUTE_ATTENTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "compute/kv_layer.h"
#include "compute/rope.h"
#include "compute/thread_pool.h"

namespace ondine::compute {

inline constexpr std::int64_t kFewQueries = 4;

struct AttentionInput {
  const float* q = nullptr;  // [n][heads][head_dim], already rotated, rows `q_stride` floats apart
  std::int64_t q_stride = 0;
  std::int64_t n = 0;       // queries
  int heads = 0;            // a multiple of the layer's kv_heads; head h reads kv head h / group
  float scale = 1.0f;       // of q.k, usually 1/sqrt(head_dim)
  std::int64_t past = 0;    // query i stands at slot past + i and sees slots <= past + i,
  std::int64_t window = 0;  // of them only the last `window` ones (0: all)
  // Stored keys are unrotated and slot j is rotated to position j while it is read; reserved() must
  // reach past + n. Null: stored keys carry their rotation already.
  const Rope* rope = nullptr;
};

// Working memory of attention, shared by a team and reused between calls.
class AttentionScratch {
 public:
  AttentionScratch();
  ~AttentionScratch();
  std::size_t bytes() const;
  struct Buffers;
  Buffers& buffers() { return *buffers_; }

 private:
  std::unique_ptr<Buffers> buffers_;
};

// kScalar is the plain reference; kAuto the fastest this CPU can run that is as exact as a cache of
// halves; kInt8 a faster one for more than kFewQueries queries, where the CPU has it, whose errors
// are those of 8-bit integers.
enum class AttentionKernel { kAuto, kInt8, kScalar };

// out[i][h][:] = softmax(scale * q.k) v over the visible slots; rows `out_stride` floats apart.
// All workers call it together with the same arguments; it has barriers inside, the last one after
// the last write to `out`. K and V of all n queries must have been written (and a barrier passed).
void Attend(Worker& worker, const KvLayer& layer, const AttentionInput& input,
            AttentionScratch& scratch, float* out, std::int64_t out_stride,
            AttentionKernel kernel = AttentionKernel::kAuto);

// The softmax weights themselves: weights[(h * n + i) * key_limit + j] for slots j < key_limit,
// normalised over the visible ones among those. 1 <= key_limit <= past + n. Invisible slots get 0.
// Same calling rule as Attend; never in bytes.
void AttentionWeights(Worker& worker, const KvLayer& layer, const AttentionInput& input,
                      std::int64_t key_limit, AttentionScratch& scratch, float* weights,
                      AttentionKernel kernel = AttentionKernel::kAuto);

}  // namespace ondine::compute

#endif  // ONDINE_SRC_COMPUTE_ATTENTION_H_
