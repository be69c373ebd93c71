#include "models/decoder.h"

#include <array>
#include <string>

#include "base/try.h"
#include "models/architectures.h"
#include "models/tensor_reader.h"

namespace ondine::models {
namespace {

// Queries, keys and values.
Status LoadProjections(const DecoderSpec& spec, const std::string& prefix,
                       const compute::StaticCode* code, const TensorReader& tensors,
                       DecoderLayer& layer) {
  struct Part {
    const char* name;
    std::int64_t rows;
    compute::Linear* matrix;
    std::vector<float>* bias;
  };
  const std::array parts = {Part{"attn_q", spec.query_width(), &layer.query, &layer.query_bias},
                            Part{"attn_k", spec.kv_width(), &layer.key, &layer.key_bias},
                            Part{"attn_v", spec.kv_width(), &layer.value, &layer.value_bias}};
  const std::int64_t all = spec.query_width() + 2 * spec.kv_width();
  std::vector<float> biases;
  if (spec.fused_qkv && spec.qkv_bias) {
    ONDINE_ASSIGN(biases, tensors.Vector(prefix + "attn_qkv.bias", all));
  }
  std::int64_t first = 0;
  for (const Part& part : parts) {
    if (spec.fused_qkv) {
      ONDINE_ASSIGN(*part.matrix, tensors.Rows(prefix + "attn_qkv.weight", spec.width,
                                               {first, first + part.rows}, all, code));
      if (spec.qkv_bias) {
        part.bias->assign(biases.begin() + first, biases.begin() + first + part.rows);
      }
    } else {
      const std::string name = prefix + part.name;
      ONDINE_ASSIGN(*part.matrix, tensors.Matrix(name + ".weight", spec.width, part.rows, code));
      if (spec.qkv_bias) {
        ONDINE_ASSIGN(*part.bias, tensors.Vector(name + ".bias", part.rows));
      }
    }
    first += part.rows;
  }
  return CheckReaders({&layer.query, &layer.key, &layer.value}, prefix + "*");
}

// `codes`: of a model with 8-bit matrices, else null.
Result<DecoderLayer> LoadLayer(const DecoderSpec& spec, int index, const LayerCodes* codes,
                               const TensorReader& tensors) {
  const std::string prefix = "blk." + std::to_string(index) + ".";
  const auto code = [&](CodeSite site) { return codes == nullptr ? nullptr : &codes->at(site); };
  DecoderLayer layer;
  ONDINE_ASSIGN(layer.attention_norm,
                tensors.Norm(prefix + "attn_norm", spec.width, spec.layer_norm));
  ONDINE_TRY(LoadProjections(spec, prefix, code(CodeSite::kAttention), tensors, layer));
  ONDINE_ASSIGN(layer.output, tensors.Matrix(prefix + "attn_output.weight", spec.query_width(),
                                             spec.width, code(CodeSite::kOutput)));
  if (spec.qk_norm) {
    ONDINE_ASSIGN(layer.query_norm, tensors.Vector(prefix + "attn_q_norm.weight", spec.head_dim));
    ONDINE_ASSIGN(layer.key_norm, tensors.Vector(prefix + "attn_k_norm.weight", spec.head_dim));
  }
  if (spec.post_norms) {
    ONDINE_ASSIGN(layer.post_attention_norm,
                  tensors.Vector(prefix + "post_attention_norm.weight", spec.width));
    ONDINE_ASSIGN(layer.post_mlp_norm, tensors.Vector(prefix + "post_ffw_norm.weight", spec.width));
  }
  ONDINE_ASSIGN(layer.mlp_norm, tensors.Norm(prefix + "ffn_norm", spec.width, spec.layer_norm));
  if (spec.gated) {
    ONDINE_ASSIGN(layer.gate, tensors.Matrix(prefix + "ffn_gate.weight", spec.width, spec.hidden,
                                             code(CodeSite::kMlp)));
  }
  ONDINE_ASSIGN(layer.up, tensors.Matrix(prefix + "ffn_up.weight", spec.width, spec.hidden,
                                         code(CodeSite::kMlp)));
  ONDINE_ASSIGN(layer.down, tensors.Matrix(prefix + "ffn_down.weight", spec.hidden, spec.width,
                                           code(CodeSite::kDown)));
  if (spec.gated) ONDINE_TRY(CheckReaders({&layer.gate, &layer.up}, prefix + "*"));
  if (spec.linear_bias) {
    ONDINE_ASSIGN(layer.output_bias, tensors.Vector(prefix + "attn_output.bias", spec.width));
    ONDINE_ASSIGN(layer.up_bias, tensors.Vector(prefix + "ffn_up.bias", spec.hidden));
    ONDINE_ASSIGN(layer.down_bias, tensors.Vector(prefix + "ffn_down.bias", spec.width));
  }
  return layer;
}

// Calls f on every matrix of a layer.
template <typename F>
void ForEachMatrix(const DecoderLayer& layer, F f) {
  for (const compute::Linear* matrix : {&layer.query, &layer.key, &layer.value, &layer.output,
                                        &layer.gate, &layer.up, &layer.down}) {
    if (matrix->present()) f(*matrix);
  }
}

}  // namespace

Result<std::shared_ptr<const Decoder>> Decoder::Load(const formats::GgufFile& file,
                                                     compute::ThreadPool& pool) {
  auto decoder = std::make_shared<Decoder>();
  ONDINE_ASSIGN(decoder->spec_, ReadDecoderSpec(file));
  const DecoderSpec& spec = decoder->spec_;
  const TensorReader tensors(file, pool);
  ONDINE_ASSIGN(decoder->quantization_, ReadQuantization(file, spec.layers));
  ONDINE_ASSIGN(decoder->fold_, ReadFold(file, spec));

  const formats::GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) {
    return MakeError(ErrorCode::kNotFound,
                     "the tensor token_embd.weight is missing (a vocabulary-only file?)",
                     file.path());
  }
  const std::int64_t vocabulary = embedding->shape[1];
  ONDINE_ASSIGN(decoder->embedding_, tensors.Matrix("token_embd.weight", spec.width, vocabulary));
  if (tensors.Has("output.weight")) {
    ONDINE_ASSIGN(decoder->head_, tensors.Matrix("output.weight", spec.width, vocabulary));
  }
  if (spec.learned_positions) {
    ONDINE_ASSIGN(decoder->positions_,
                  tensors.Matrix("position_embd.weight", spec.width, spec.trained_context));
  }
  ONDINE_ASSIGN(decoder->final_norm_, tensors.Norm("output_norm", spec.width, spec.layer_norm));
  decoder->layers_.reserve(static_cast<std::size_t>(spec.layers));
  for (int i = 0; i < spec.layers; ++i) {
    const LayerCodes* codes = decoder->quantization_
                                  ? &decoder->quantization_->layers[static_cast<std::size_t>(i)]
                                  : nullptr;
    ONDINE_ASSIGN(DecoderLayer layer, LoadLayer(spec, i, codes, tensors));
    decoder->layers_.push_back(std::move(layer));
  }
  ONDINE_TRY(tensors.CheckAllTaken());
  for (const formats::GgufTensor& tensor : file.tensors())
    decoder->parameters_ += tensor.Elements();
  return decoder;
}

std::size_t Decoder::bytes() const {
  std::size_t total = embedding_.bytes() + positions_.bytes() + (head_ ? head_->bytes() : 0);
  for (const DecoderLayer& layer : layers_) {
    ForEachMatrix(layer, [&](const compute::Linear& matrix) { total += matrix.bytes(); });
  }
  return total;
}

std::size_t Decoder::BytesPerToken() const {
  return bytes() - positions_.bytes() - (head_ ? embedding_.bytes() : 0);
}

std::int64_t Decoder::BodyMultiplyAdds() const {
  std::int64_t total = 0;
  for (const DecoderLayer& layer : layers_) {
    ForEachMatrix(layer,
                  [&](const compute::Linear& matrix) { total += matrix.in() * matrix.out(); });
  }
  return total;
}

std::int64_t Decoder::HeadMultiplyAdds() const {
  return head().in() * head().out();
}

}  // namespace ondine::models
