// A differentiable CLIP: both towers with float weights, as models::Clip and Hugging Face's
// CLIPModel compute them.
#ifndef ONDINE_TRAIN_CLIP_TWIN_H_
#define ONDINE_TRAIN_CLIP_TWIN_H_

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/clip_spec.h"
#include "ondine/result.h"
#include "train/decoder_twin.h"

namespace ondine::train {

class ClipTwin {
 public:
  // Random weights as OpenAI's CLIP begins with, of torch's generator. `precision` is that of the
  // products with matrices, torch::kFloat or, where the processor multiplies it faster,
  // torch::kBFloat16; weights, norms and what is added up along the layers stay floats.
  ClipTwin(const models::ClipSpec& spec, torch::Device device,
           torch::Dtype precision = torch::kFloat);
  // The weights of a file. Errors: those of ReadClipSpec, kCorrupt (a tensor is missing or has
  // another shape).
  static Result<ClipTwin> Load(const formats::GgufFile& file, torch::Device device,
                               torch::Dtype precision = torch::kFloat);

  const models::ClipSpec& spec() const { return spec_; }
  const torch::Device& device() const { return device_; }

  // Vectors [pictures][projection] of length 1 of pixels [pictures][3][size][size], which are
  // normalised by the spec's mean and deviation. `kept` [pictures][patches], int64, names the
  // patches that are read; undefined: all.
  torch::Tensor EncodePictures(const torch::Tensor& pixels, const torch::Tensor& kept = {}) const;
  // Vectors [texts][projection] of length 1 of texts with their start and end tokens, which are
  // computed in groups of similar length. `log_weights` [texts][longest text or more], where
  // defined, are added to what every token's attention makes of the text's tokens (SToRI).
  torch::Tensor EncodeTexts(const std::vector<std::vector<std::int32_t>>& texts,
                            const torch::Tensor& log_weights = {}) const;

  // All weights but the logit scale, which is metadata in files. Changing them in place changes the
  // twin.
  const std::vector<NamedWeight>& Weights() const { return weights_; }
  // The logarithm of what cosines are multiplied by; [].
  const torch::Tensor& logit_scale() const { return logit_scale_; }

 private:
  struct LinearTensors {
    torch::Tensor weight, bias;  // [out][in], [out]; no bias: undefined
  };
  struct NormTensors {
    torch::Tensor weight, bias;  // [width]
  };
  struct Block {
    NormTensors attention_norm, mlp_norm;
    LinearTensors query, key, value, output, up, down;
  };
  struct Tower {
    models::TowerSpec spec;
    std::vector<Block> blocks;
    NormTensors last_norm;
  };

  torch::Tensor EncodeTextGroup(const torch::Tensor& tokens, const torch::Tensor& ends,
                                const torch::Tensor& log_weights) const;
  torch::Tensor Add(const std::string& name, torch::Tensor values);
  LinearTensors AddLinear(const std::string& name, std::int64_t out, std::int64_t in,
                          double deviation);
  NormTensors AddNorm(const std::string& name, std::int64_t width);
  Tower AddTower(const std::string& prefix, const models::TowerSpec& spec);

  torch::Tensor Product(const torch::Tensor& x, const torch::Tensor& weight,
                        const torch::Tensor& bias) const;
  torch::Tensor Run(const Tower& tower, torch::Tensor x, const torch::Tensor& wanted,
                    const torch::Tensor& mask) const;
  torch::Tensor Attention(const Tower& tower, const Block& block, const torch::Tensor& queries,
                          const torch::Tensor& x, const torch::Tensor& mask) const;
  torch::Tensor Mlp(const Block& block, const torch::Tensor& x) const;
  static torch::Tensor Norm(const Tower& tower, const NormTensors& norm, const torch::Tensor& x);
  static torch::Tensor Unit(const torch::Tensor& vectors);

  models::ClipSpec spec_;
  torch::Device device_;
  torch::Dtype precision_;
  std::vector<NamedWeight> weights_;
  torch::Tensor logit_scale_;

  torch::Tensor token_embedding_, text_positions_, text_projection_;
  Tower text_;
  torch::Tensor class_embedding_, patch_embedding_, patch_positions_, image_projection_;
  NormTensors first_norm_;
  Tower image_;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_TWIN_H_
