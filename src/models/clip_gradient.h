// How the vector of a text changes with the weights of its tokens: the gradient that learning them
// from labelled photos needs. SToRI, Kim et al., Findings of EMNLP 2024, arXiv 2410.08469.
#ifndef ONDINE_SRC_MODELS_CLIP_GRADIENT_H_
#define ONDINE_SRC_MODELS_CLIP_GRADIENT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/activations.h"
#include "compute/linear.h"
#include "compute/thread_pool.h"
#include "models/clip.h"
#include "models/clip_pass.h"
#include "ondine/result.h"

namespace ondine::models {

// Belongs to one thread at a time.
class ClipGradient {
 public:
  // Copies the text tower's matrices, transposed, as floats; `pool` must outlive the object.
  // kOutOfMemory.
  static Result<std::unique_ptr<ClipGradient>> Create(std::shared_ptr<const Clip> clip,
                                                      compute::ThreadPool& pool);

  // d sum(upstream * vectors) / d log_weights, of the vectors [texts][projection] that
  // ClipPass::EncodeTexts() gives. `gradients` has one for each token of each text, start and end
  // included. Of weights of 0 it is 0.
  void LogWeights(std::span<const ClipText> texts, const WeightPlace& place, const float* upstream,
                  std::span<float> gradients);

 private:
  struct Layer {  // transposed
    compute::Linear qkv, output, up, down;
  };
  ClipGradient(std::shared_ptr<const Clip> clip, compute::ThreadPool& pool)
      : clip_(clip), pool_(pool), pass_(std::move(clip), pool) {}

  void Prepare();
  // Each from the gradient of what it made in the forward pass to that of what it was made from.
  void Vectors(compute::Worker& worker, const float* upstream);
  void Mlp(compute::Worker& worker, std::size_t block);
  void Attention(compute::Worker& worker, std::size_t block, const WeightPlace& place);
  void Heads(const compute::Worker& worker, std::size_t block, const WeightPlace& place);
  // Adds the gradient of a norm's input to that of the residual.
  void Norm(const compute::Worker& worker, const NormWeights& norm,
            const std::vector<float>& input);
  void Finish(const compute::Worker& worker, compute::Activations& x) const;

  std::shared_ptr<const Clip> clip_;
  compute::ThreadPool& pool_;
  ClipPass pass_;
  std::vector<Layer> layers_;
  compute::Linear projection_;

  ClipTrace trace_;
  std::vector<float> vectors_;  // [texts][projection]
  std::vector<float> weights_;  // [heads][rows]: gradients of log weights
  // Gradients of what the names say.
  compute::Activations residual_;  // [rows][width]
  compute::Activations hidden_;    // [rows][hidden]
  compute::Activations qkv_;       // [rows][3 * width]
  compute::Activations raw_;       // [texts][projection]: vectors before they are made of length 1
  std::vector<float> normed_;      // [rows][width]: of what a norm made
  std::vector<float> attended_;    // [rows][width]
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_CLIP_GRADIENT_H_
