// CLIP: a text and a picture encoder whose vectors can be compared; weights prepared for this CPU,
// shared read-only. OpenAI's and OpenCLIP's ViT models, docs/formats/clip.md.
// Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, 2021.
#ifndef ONDINE_SRC_MODELS_CLIP_H_
#define ONDINE_SRC_MODELS_CLIP_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "compute/linear.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "models/clip_spec.h"
#include "models/norm.h"
#include "models/quantization.h"
#include "ondine/result.h"

namespace ondine::models {

struct TowerLayer {
  NormWeights attention_norm, mlp_norm;
  compute::Linear query, key, value, output, up, down;
  std::vector<float> query_bias, key_bias, value_bias, output_bias, up_bias, down_bias;
};

struct Tower {
  TowerSpec spec;
  std::vector<TowerLayer> layers;
  compute::Linear positions;  // row i is added to the embedding at position i
  NormWeights
      final_norm;  // of the row that stands for all: of a text its last, of a picture its first
  compute::Linear projection;
};

class Clip {
 public:
  // Reads and repacks every tensor. Errors name the tensor: kNotFound, kCorrupt (shape, type, NaN),
  // kUnsupported; and those of ReadClipSpec() and ReadQuantization().
  static Result<std::shared_ptr<const Clip>> Load(const formats::GgufFile& file,
                                                  compute::ThreadPool& pool);

  const ClipSpec& spec() const { return spec_; }
  // Where blocks have 8-bit matrices: the codes of the text tower's blocks, then the image tower's.
  const std::optional<Quantization>& quantization() const { return quantization_; }
  const Tower& text() const { return text_; }
  const Tower& image() const { return image_; }
  const compute::Linear& tokens() const { return tokens_; }    // [vocabulary][text width]
  const compute::Linear& patches() const { return patches_; }  // of [3][patch][patch]
  const std::vector<float>& image_token() const { return image_token_; }  // in front of the patches
  const NormWeights& patch_norm() const { return patch_norm_; }  // before the picture's first block

  std::size_t bytes() const;  // of prepared weights

 private:
  ClipSpec spec_;
  std::optional<Quantization> quantization_;
  Tower text_, image_;
  compute::Linear tokens_, patches_;
  std::vector<float> image_token_;
  NormWeights patch_norm_;
};

// Whether a tensor of this name is a matrix of a tower's block, which may be of 8-bit integers.
bool IsTowerMatrix(std::string_view tensor);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_CLIP_H_
