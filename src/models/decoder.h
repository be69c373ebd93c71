// A decoder-only language model: weights prepared for this CPU, shared read-only between sessions.
#ifndef ONDINE_SRC_MODELS_DECODER_H_
#define ONDINE_SRC_MODELS_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compute/linear.h"
#include "compute/thread_pool.h"
#include "formats/gguf.h"
#include "models/channel_scales.h"
#include "models/decoder_spec.h"
#include "models/norm.h"
#include "models/quantization.h"
#include "ondine/result.h"

namespace ondine::models {

struct DecoderLayer {
  NormWeights attention_norm, mlp_norm;
  std::vector<float> post_attention_norm, post_mlp_norm;  // [width], where the spec has post_norms
  compute::Linear query, key, value, output;
  std::vector<float> query_bias, key_bias, value_bias;  // where the spec has qkv_bias
  std::vector<float> query_norm, key_norm;              // [head_dim], where the spec has qk_norm
  compute::Linear gate, up, down;                       // no gate where the spec is not gated
  std::vector<float> output_bias, up_bias, down_bias;   // where the spec has linear_bias
};

class Decoder {
 public:
  // Reads and repacks every tensor; the file's pages are given back as they are read. Errors name
  // the tensor: kNotFound, kCorrupt (shape, type, NaN), kUnsupported.
  static Result<std::shared_ptr<const Decoder>> Load(const formats::GgufFile& file,
                                                     compute::ThreadPool& pool);

  const DecoderSpec& spec() const { return spec_; }
  std::int64_t vocabulary() const { return embedding_.out(); }
  const compute::Linear& embedding() const { return embedding_; }
  // The head shares the embedding's weights where the file has no output.weight.
  const compute::Linear& head() const { return head_ ? *head_ : embedding_; }
  // Row i: what is added to the embedding at position i, where the spec has learned_positions.
  const compute::Linear& positions() const { return positions_; }
  const NormWeights& final_norm() const { return final_norm_; }
  const std::vector<DecoderLayer>& layers() const { return layers_; }

  // Of a model with 8-bit matrices.
  const std::optional<Quantization>& quantization() const { return quantization_; }
  // Of a model whose weights scales were folded into.
  const std::optional<Fold>& fold() const { return fold_; }

  // Prepared weights in bytes, and how many there are.
  std::size_t bytes() const;
  std::int64_t parameters() const { return parameters_; }
  // Bytes of weights that generating one token reads, and multiply-adds it takes (without
  // attention): the bounds that benchmarks are held against.
  std::size_t BytesPerToken() const;
  std::int64_t BodyMultiplyAdds() const;
  std::int64_t HeadMultiplyAdds() const;

 private:
  DecoderSpec spec_;
  compute::Linear embedding_, positions_;
  std::optional<compute::Linear> head_;
  NormWeights final_norm_;
  std::vector<DecoderLayer> layers_;
  std::optional<Quantization> quantization_;
  std::optional<Fold> fold_;
  std::int64_t parameters_ = 0;
};

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_DECODER_H_
