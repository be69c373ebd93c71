#include "models/hyperparameters.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/quote.h"
#include "base/try.h"

namespace ondine::models {
namespace {

// Llama 3 files carry one divisor per rotated pair in a tensor of their own.
Result<std::vector<float>> RopeFactors(const formats::GgufFile& file, int pairs) {
  const formats::GgufTensor* tensor = file.FindTensor("rope_freqs.weight");
  if (tensor == nullptr) return std::vector<float>();
  if (tensor->type != formats::TensorType::kF32 || tensor->Elements() != pairs) {
    return MakeError(ErrorCode::kCorrupt,
                     "rope_freqs.weight must be F32 with one value per rotated pair (" +
                         std::to_string(pairs) + ")",
                     file.path());
  }
  std::vector<float> factors(static_cast<std::size_t>(pairs));
  std::memcpy(factors.data(), tensor->data.data(), factors.size() * sizeof(float));
  for (float factor : factors) {
    if (!std::isfinite(factor) || factor <= 0) {
      return MakeError(ErrorCode::kCorrupt, "rope_freqs.weight holds a value that is not positive",
                       file.path());
    }
  }
  return factors;
}

}  // namespace

Result<int> Hyperparameters::Int(const std::string& name, int low, int high,
                                 std::optional<int> fallback) const {
  ONDINE_ASSIGN(const std::optional<std::int64_t> value, file_.FindInt(Key(name)));
  if (!value) {
    if (fallback) return *fallback;
    return MakeError(ErrorCode::kCorrupt, "the key " + Key(name) + " is missing", file_.path());
  }
  if (*value < low || *value > high) {
    return MakeError(ErrorCode::kCorrupt,
                     Key(name) + " is " + std::to_string(*value) + "; expected " +
                         std::to_string(low) + " to " + std::to_string(high),
                     file_.path());
  }
  return static_cast<int>(*value);
}

Result<double> Hyperparameters::Positive(const std::string& name,
                                         std::optional<double> fallback) const {
  ONDINE_ASSIGN(const std::optional<double> value, file_.FindNumber(Key(name)));
  if (!value) {
    if (fallback) return *fallback;
    return MakeError(ErrorCode::kCorrupt, "the key " + Key(name) + " is missing", file_.path());
  }
  if (!std::isfinite(*value) || *value <= 0) {
    return MakeError(ErrorCode::kCorrupt, Key(name) + " must be a positive number", file_.path());
  }
  return *value;
}

Result<std::string> Hyperparameters::String(const std::string& name,
                                            const std::string& fallback) const {
  ONDINE_ASSIGN(const std::optional<std::string> value, file_.FindString(Key(name)));
  return value.value_or(fallback);
}

tl::unexpected<Error> Hyperparameters::Unsupported(const std::string& name) const {
  return MakeError(ErrorCode::kUnsupported, "the setting " + Key(name) + " is not supported",
                   file_.path());
}

Result<DecoderSpec> Hyperparameters::Sizes() const {
  DecoderSpec spec;
  spec.architecture = architecture_;
  ONDINE_ASSIGN(const int experts, Int("expert_count", 0, 1 << 16, 0));
  if (experts > 0) {
    return MakeError(ErrorCode::kUnsupported, "mixture-of-experts models are not supported",
                     file_.path());
  }
  // The upper bounds are far above any model; they keep products of sizes inside 64 bits.
  ONDINE_ASSIGN(spec.layers, Int("block_count", 1, 4096));
  ONDINE_ASSIGN(spec.width, Int("embedding_length", 1, 1 << 20));
  ONDINE_ASSIGN(spec.heads, Int("attention.head_count", 1, 4096));
  ONDINE_ASSIGN(spec.kv_heads, Int("attention.head_count_kv", 1, 4096, spec.heads));
  ONDINE_ASSIGN(spec.hidden, Int("feed_forward_length", 1, 1 << 22));
  ONDINE_ASSIGN(const int context, Int("context_length", 1, std::numeric_limits<int>::max(), 2048));
  spec.trained_context = context;
  ONDINE_ASSIGN(spec.head_dim, Int("attention.key_length", 1, 1024, spec.width / spec.heads));
  ONDINE_ASSIGN(const int value_dim, Int("attention.value_length", 1, 1024, spec.head_dim));
  if (value_dim != spec.head_dim || spec.head_dim > 256) {
    return MakeError(ErrorCode::kUnsupported,
                     "heads of " + std::to_string(spec.head_dim) + " keys and " +
                         std::to_string(value_dim) + " values are not supported",
                     file_.path());
  }
  if (spec.heads % spec.kv_heads != 0) {
    return MakeError(ErrorCode::kCorrupt, "query heads are no multiple of the KV heads",
                     file_.path());
  }
  spec.attention_scale = 1.0f / std::sqrt(static_cast<float>(spec.head_dim));
  return spec;
}

Result<DecoderSpec> Hyperparameters::Common() const {
  ONDINE_ASSIGN(DecoderSpec spec, Sizes());
  ONDINE_ASSIGN(const double epsilon, Positive("attention.layer_norm_rms_epsilon"));
  spec.norm_epsilon = static_cast<float>(epsilon);
  ONDINE_ASSIGN(spec.rope.dims, Int("rope.dimension_count", 2, spec.head_dim, spec.head_dim));
  if (spec.rope.dims % 2 != 0) {
    return MakeError(ErrorCode::kCorrupt, Key("rope.dimension_count") + " is odd", file_.path());
  }
  ONDINE_ASSIGN(spec.rope.base, Positive("rope.freq_base", 10000.0));
  // A factor without a type is linear, and files of 2023 have it under another name.
  ONDINE_ASSIGN(const std::string scaling, String("rope.scaling.type", "linear"));
  if (scaling == "linear") {
    ONDINE_ASSIGN(const double old_factor, Positive("rope.scale_linear", 1.0));
    ONDINE_ASSIGN(const double factor, Positive("rope.scaling.factor", old_factor));
    spec.rope.position_scale = 1.0 / factor;
  } else if (scaling != "none") {
    return MakeError(ErrorCode::kUnsupported,
                     "RoPE scaling " + base::Quote(scaling) + " is not supported", file_.path());
  }
  ONDINE_ASSIGN(const double attention_factor, Positive("rope.scaling.attn_factor", 1.0));
  if (attention_factor != 1) return Unsupported("rope.scaling.attn_factor");
  ONDINE_ASSIGN(spec.rope.factors, RopeFactors(file_, spec.rope.dims / 2));
  return spec;
}

}  // namespace ondine::models
