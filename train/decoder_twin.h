// A differentiable twin of models::Decoder: the same weights, dequantised and frozen.
#ifndef ONDINE_TRAIN_DECODER_TWIN_H_
#define ONDINE_TRAIN_DECODER_TWIN_H_

#include <torch/types.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "models/lora.h"
#include "ondine/result.h"
#include "train/token_tree.h"

namespace ondine::train {

using models::LoraSite;

// What is added to the products of chosen matrices: y = W x + Delta(x).
class Additions {
 public:
  virtual ~Additions() = default;
  // x [rows][time][in]; gives [rows][time][out], or an undefined tensor for nothing.
  virtual torch::Tensor Delta(int layer, LoraSite site, const torch::Tensor& x) const = 0;
};

// What quantisation, and scales folded in, make of a layer: functions of its weights and inputs.
class Quantizer {
 public:
  virtual ~Quantizer() = default;
  // The weight, or the bias, of the norm that feeds a site; [width].
  virtual torch::Tensor OfNorm(int layer, models::FoldSite site,
                               const torch::Tensor& values) const = 0;
  virtual torch::Tensor Bias(int layer, LoraSite site, const torch::Tensor& bias) const = 0;
  // Rows for the matrices of a site, [rows][time][in], in the form that Product() takes.
  virtual torch::Tensor Input(int layer, models::CodeSite site, const torch::Tensor& x) const = 0;
  // W x [rows][time][out], without bias.
  virtual torch::Tensor Product(int layer, LoraSite site, const torch::Tensor& x,
                                const torch::Tensor& weights) const = 0;
};

// What a pass may change, one of the two; null: nothing.
struct Changes {
  const Additions* additions = nullptr;
  const Quantizer* quantizer = nullptr;
};

// A weight of a model, by its name in GGUF files but that queries, keys and values have their own.
struct NamedWeight {
  std::string name;
  torch::Tensor values;
};

class DecoderTwin {
 public:
  // `precision` is that of the products with the layers' matrices, torch::kFloat or, where the
  // processor multiplies it faster, torch::kBFloat16; everything else is computed in float.
  static Result<DecoderTwin> Create(const models::Decoder& decoder, torch::Device device,
                                    torch::Dtype precision = torch::kFloat);

  const models::DecoderSpec& spec() const { return spec_; }
  const torch::Device& device() const { return device_; }

  // Outputs of the final norm [rows][longest row][width]; what stands behind the end of a shorter
  // row means nothing.
  torch::Tensor Hidden(std::span<const TokenTree* const> rows, const Changes& changes = {}) const;

  // The same in steps, for training one layer at a time. Of the rows of a batch, for the layers of
  // one kind:
  struct Geometry {
    torch::Tensor mask;  // [rows][1][1][time][time]: 0, or -infinity where nothing is seen
    torch::Tensor cosines, sines;  // [rows][time][1][rotated dims]
  };
  Geometry MakeGeometry(std::span<const TokenTree* const> rows, std::int64_t time,
                        bool local) const;
  // What the first layer reads, and what a layer makes of it: [rows][time][width].
  torch::Tensor Embed(std::span<const TokenTree* const> rows, std::int64_t time) const;
  torch::Tensor Block(int layer, const torch::Tensor& x, const Geometry& geometry,
                      const Changes& changes) const;
  const torch::Tensor& Matrix(int layer, LoraSite site) const {
    return layers_[static_cast<std::size_t>(layer)].weights[static_cast<std::size_t>(site)];
  }
  // All weights: changing them in place changes the twin.
  std::vector<NamedWeight> Weights() const;

  // Logits [n][vocabulary] of final norm outputs [n][width].
  torch::Tensor Logits(const torch::Tensor& hidden) const;
  const torch::Tensor& head() const { return head_; }  // [vocabulary][width]
  // log p(targets[i] | hidden[sources[i]]) [m] of final norm outputs [n][width]. A place that
  // several targets share costs one pass through the head.
  torch::Tensor LogLikelihoods(const torch::Tensor& hidden, const torch::Tensor& sources,
                               const torch::Tensor& targets) const;

 private:
  using BySite = std::array<torch::Tensor, models::kLoraPlaces.size()>;
  struct NormTensors {
    torch::Tensor weight, bias;  // [width]; no bias: an RMS norm
  };
  struct Layer {
    BySite weights;  // [out][in], undefined where there is no such matrix
    BySite biases;   // [out], undefined where there is none
    NormTensors attention_norm, post_attention_norm, mlp_norm, post_mlp_norm;
    NormTensors query_norm, key_norm;
  };

  DecoderTwin(const models::DecoderSpec& spec, torch::Device device)
      : spec_(spec), device_(device) {}
  torch::Tensor Project(int layer, LoraSite site, const torch::Tensor& x,
                        const Changes& changes) const;
  // The norm in front of a site, and what its matrices read of its outputs.
  torch::Tensor NormedInput(int layer, models::FoldSite fold, models::CodeSite code,
                            const torch::Tensor& x, const NormTensors& norm,
                            const Changes& changes) const;
  torch::Tensor Attention(int layer, const torch::Tensor& x, const Geometry& geometry,
                          const Changes& changes) const;
  torch::Tensor Mlp(int layer, const torch::Tensor& x, const Changes& changes) const;
  torch::Tensor Rotate(const torch::Tensor& heads, const Geometry& geometry) const;
  torch::Tensor Norm(const torch::Tensor& x, const NormTensors& norm) const;

  models::DecoderSpec spec_;
  torch::Device device_;
  torch::Tensor embedding_, head_;  // [vocabulary][width]; one tensor where the file has one
  torch::Tensor positions_;         // [trained_context][width], where they are learned
  NormTensors final_norm_;
  std::vector<Layer> layers_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_DECODER_TWIN_H_
