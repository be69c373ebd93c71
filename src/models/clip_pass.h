// Texts and pictures through the towers of a CLIP.
#ifndef ONDINE_SRC_MODELS_CLIP_PASS_H_
#define ONDINE_SRC_MODELS_CLIP_PASS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/activations.h"
#include "compute/thread_pool.h"
#include "models/clip.h"
#include "models/input_observer.h"

namespace ondine::models {

struct ClipText {
  std::span<const std::int32_t> tokens;  // ids that are valid, start and end included; 2 to context
  // SToRI (arXiv 2410.08469): log w of each token, -infinity for w = 0; empty: all w are 1.
  std::span<const float> log_weights = {};
};

// Where log_weights act.
struct WeightPlace {
  int first_block = 0;             // of the text tower; blocks before it see plain attention
  bool for_last_row_only = false;  // else in every row: in how each token reads the others
};

// What a pass of texts leaves behind for its gradient (models/clip_gradient.h).
struct ClipTrace {
  struct Block {
    std::vector<float> input;   // [rows][width]: the residual before the block
    std::vector<float> qkv;     // [rows][3 * width]
    std::vector<float> middle;  // [rows][width]: the residual between its two halves
    std::vector<float> up;      // [rows][hidden], before the activation
  };
  std::vector<std::int64_t> begins;  // [texts + 1]: the rows of each
  std::vector<float> bias;           // [rows]: log weights
  std::vector<Block> blocks;
  std::vector<float> output;   // [rows][width]: the residual behind the last block
  std::vector<float> lengths;  // [texts]: of the vectors before they were made of length 1
};

// Working memory for passes. Belongs to one thread at a time.
class ClipPass {
 public:
  ClipPass(std::shared_ptr<const Clip> clip, compute::ThreadPool& pool)
      : clip_(std::move(clip)), pool_(pool) {}

  const Clip& clip() const { return *clip_; }

  // Vectors [texts][projection] of norm 1. Text i's is the same whatever texts stand beside it.
  // `trace`, where not null, keeps what a gradient needs; `observer`, where not null, sees the
  // inputs of the tower's blocks.
  void EncodeTexts(std::span<const ClipText> texts, const WeightPlace& place, float* vectors,
                   ClipTrace* trace = nullptr, InputObserver* observer = nullptr);
  // The same for pictures of the spec's size, each [size][size][3] bytes of red, green and blue.
  void EncodePictures(std::span<const std::uint8_t* const> pictures, float* vectors,
                      InputObserver* observer = nullptr);

  // Of EncodeTexts() with one text: how the last token's attention is shared out among the tokens
  // in each block, mean over heads, [blocks][tokens].
  std::vector<float> AttentionShares(const ClipText& text, const WeightPlace& place);

 private:
  struct Options {
    bool causal = false;
    const float* bias = nullptr;  // [rows]
    WeightPlace place = {};
    float* shares = nullptr;  // [blocks][heads][rows]
    ClipTrace* trace = nullptr;
    InputObserver* observer = nullptr;

    void Observe(compute::Worker& worker, std::size_t block, CodeSite site,
                 const compute::Activations& rows) const {
      if (observer != nullptr) observer->OnInput(worker, static_cast<int>(block), site, rows);
    }
  };
  void Prepare(const Tower& tower);
  // Of the rows that lie in residual_; begins_ tells where each sequence begins.
  void RunBlocks(compute::Worker& worker, const Tower& tower, const Options& options);
  void RunBlock(compute::Worker& worker, const Tower& tower, std::size_t index,
                const Options& options);
  void Mlp(compute::Worker& worker, const Tower& tower, std::size_t index, const Options& options);
  void Normalize(const compute::Worker& worker, const NormWeights& norm, float epsilon,
                 const compute::Linear& reader);
  // The vectors of the row of each sequence that stands for all of it.
  enum class Pooled { kFirst, kLast };
  void Project(compute::Worker& worker, const Tower& tower, Pooled pooled, float* vectors,
               ClipTrace* trace);
  void EmbedTexts(const compute::Worker& worker, std::span<const ClipText> texts);
  void EmbedPictures(compute::Worker& worker, std::span<const std::uint8_t* const> pictures);
  void RunTexts(std::span<const ClipText> texts, Options options, float* vectors);
  void Prepare(ClipTrace& trace) const;
  // Copies this worker's rows.
  void Keep(const compute::Worker& worker, const float* rows, std::vector<float>& copy) const;

  std::shared_ptr<const Clip> clip_;
  compute::ThreadPool& pool_;
  std::vector<std::int64_t> begins_;  // [sequences + 1]
  std::vector<float> residual_;       // [rows][width]
  std::vector<float> projection_;     // [rows][3 * width]: q, k, v
  std::vector<float> bias_;           // [rows]
  compute::Activations normed_, attended_, hidden_, pixels_, pooled_;
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_CLIP_PASS_H_
