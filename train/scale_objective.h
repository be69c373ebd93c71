// What the training of scales makes small.
#ifndef ONDINE_TRAIN_SCALE_OBJECTIVE_H_
#define ONDINE_TRAIN_SCALE_OBJECTIVE_H_

#include <torch/types.h>

#include "train/decoder_twin.h"
#include "train/token_tree.h"

namespace ondine::train {

// Rows are straight. `exact` is a tensor that the caller keeps for each row, undefined at first:
// what the float model's layers make of it.
class ScaleObjective {
 public:
  // Of the twin with the quantizer, which may be null. `weights_change`: those of the twin do, and
  // the float model is the twin as it is now; then each `exact` is to be made before they have.
  ScaleObjective(const DecoderTwin& twin, const Quantizer* quantizer, bool weights_change);

  // Nats a token by which the text surprises.
  torch::Tensor OfText(const TokenTree& row) const;
  // Nats a token by which the distribution diverges from the float model's.
  torch::Tensor OfModel(const TokenTree& row, torch::Tensor& exact) const;
  // Squared error of a layer's output [rows][time][width] relative to what the layer adds, half of
  // it for the sequence as a whole, half as the mean over its tokens: what a few tokens have that
  // are a thousand times larger, and which all others attend to, must be as exact as what the
  // others have.
  static torch::Tensor OfLayer(const torch::Tensor& error, const torch::Tensor& added);

  // OfText(), the same of the float model, and OfModel(): [3].
  torch::Tensor Measure(const TokenTree& row, torch::Tensor& exact) const;

  // The float model's [time - 1][vocabulary].
  torch::Tensor ExactLogProbabilities(const TokenTree& row, torch::Tensor& exact) const;

 private:
  torch::Tensor Hidden(const TokenTree& row, const Quantizer* quantizer) const;
  torch::Tensor LogProbabilities(const TokenTree& row) const;
  torch::Tensor NextTokens(const TokenTree& row) const;

  const DecoderTwin& twin_;
  const Quantizer* quantizer_;
  torch::Tensor exact_head_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_SCALE_OBJECTIVE_H_
