// One forward pass of a decoder over a few tokens, and what can be read off its result.
#ifndef ONDINE_SRC_MODELS_DECODER_PASS_H_
#define ONDINE_SRC_MODELS_DECODER_PASS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compute/activations.h"
#include "compute/attention.h"
#include "compute/thread_pool.h"
#include "models/decoder.h"
#include "models/head_surprise.h"
#include "models/input_observer.h"
#include "models/kv_cache.h"
#include "models/lora.h"

namespace ondine::models {

// Watches a pass.
class PassObserver : public InputObserver {
 public:
  // The queries and keys of a layer, once its keys are written: for importance scores.
  virtual void OnAttention(compute::Worker& /*worker*/, int /*layer*/,
                           const KvCache::Layer& /*cache*/,
                           const compute::AttentionInput& /*input*/) {}
};

// Working memory for passes of up to kMaxTokens tokens. Belongs to one thread at a time.
class DecoderPass {
 public:
  // Long enough that unpacking weights is a small part of a pass, short enough that its
  // activations stay in the second-level cache.
  static constexpr std::int64_t kMaxTokens = 256;

  // `lora`, where there is one, is made for this decoder.
  DecoderPass(std::shared_ptr<const Decoder> decoder, compute::ThreadPool& pool,
              std::shared_ptr<const Lora> lora = nullptr);

  const Decoder& decoder() const { return *decoder_; }
  compute::ThreadPool& pool() const { return pool_; }

  // Runs 1 to kMaxTokens tokens, whose ids are valid, through the model and appends them to the
  // cache, which must have been prepared for them (KvCache::Prepare).
  void Run(std::span<const std::int32_t> tokens, KvCache& cache, PassObserver* observer = nullptr);

  // Of the last Run(): rows of the final norm's output.
  std::int64_t rows() const { return final_.rows(); }
  std::span<const float> Hidden(std::int64_t row) const;

  // Logits [vocabulary] that follow from a row of the final norm's output.
  void Logits(std::span<const float> hidden, std::span<float> logits);
  // Logits [rows][vocabulary] of rows [first, first + rows) of the last Run().
  void Logits(std::int64_t first, std::int64_t rows, std::span<float> logits);
  // surprise[i] = -log p(targets[i] | row i) for the first targets.size() rows of the last Run();
  // exact with `stride` 1, else estimated: see HeadSurprise.
  void Surprise(std::span<const std::int32_t> targets, int stride, std::span<float> surprise);
  // The same for one row of the final norm's output, such as one carried over from an earlier pass.
  float Surprise(std::span<const float> hidden, std::int32_t target, int stride);

 private:
  void RunLayer(compute::Worker& worker, int index, KvCache& cache, PassObserver* observer);
  void Attention(compute::Worker& worker, int index, KvCache& cache, PassObserver* observer);
  void Mlp(compute::Worker& worker, int index, PassObserver* observer);
  // gated_ = activation(gate x) * (up x) of x = normed_, finished for `down`; or, where the MLP has
  // no gate, activation(up x). With a barrier at the end.
  void Gate(compute::Worker& worker, int index);
  void Activate(compute::Worker& worker, int index);
  void Embed(const compute::Worker& worker, std::span<const std::int32_t> tokens,
             std::int64_t position);
  // y = norm(x) row by row, finished for the matrices that read it, of which `reader` is one.
  void Normalize(const compute::Worker& worker, const NormWeights& norm,
                 const compute::Linear& reader, compute::Activations& out);
  // In blocks too where an adapter may read the row.
  void Finish(compute::Activations& x, std::int64_t row, const compute::Linear& reader) const;
  // x += m y + bias, with the norm the architecture may put in between. Has a barrier at its end.
  void AddToResidual(compute::Worker& worker, const compute::Linear& matrix, int index,
                     std::optional<LowRank> LoraLayer::*addition, const compute::Activations& y,
                     const std::vector<float>& bias, const std::vector<float>& post_norm);
  // The adapter's part of up to three products of one input, added to each worker's share of y, as
  // Linear::Multiply() left it. Has no barrier at its end.
  struct Addition {
    std::optional<LowRank> LoraLayer::*matrix;
    float* y;
  };
  void AddLowRank(compute::Worker& worker, int index, std::initializer_list<Addition> additions,
                  const compute::Activations& x, std::int64_t stride);
  // Biases, head norms and rotation of the projections q, k, v, and zeros behind heads that need
  // them.
  void FinishProjections(const compute::Worker& worker, const DecoderLayer& layer,
                         const KvCache& cache, const KvCache::Layer& kv);
  void PrepareAngles(const KvCache& cache);

  std::shared_ptr<const Decoder> decoder_;
  std::shared_ptr<const Lora> lora_;  // may be null
  compute::ThreadPool& pool_;
  std::int64_t n_ = 0;  // tokens of the current pass

  std::vector<float> residual_;    // [n][width]
  std::vector<float> projection_;  // [n][query_width + 2 kv_width]: q, k, v; or [n][width]
  compute::Activations normed_;    // [n][width]
  compute::Activations attended_;  // [n][query_width]
  // Where heads have to be padded: projection_ with its q, k and v, and what attention makes of it.
  std::vector<float> padded_, padded_attended_;
  compute::Activations gated_;    // [n][hidden]
  compute::Activations final_;    // [n][width]
  compute::Activations one_row_;  // [1][width]
  std::vector<float> factors_;    // [n][hidden], where an adapter changes the gated product
  std::array<compute::Activations, 3> low_rank_;  // [n][rank]
  compute::AttentionScratch attention_scratch_;
  // Rotation of the pass's tokens, [n][dims], for global and for sliding-window layers.
  struct Angles {
    std::vector<float> cosines, sines;
  };
  Angles angles_[2];
  HeadSurprise head_surprise_;
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_DECODER_PASS_H_
