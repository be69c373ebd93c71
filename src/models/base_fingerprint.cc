#include "models/base_fingerprint.h"

#include <array>
#include <span>

#include "base/checksum.h"

namespace ondine::models {

std::string BaseFingerprint(const Decoder& decoder) {
  if (decoder.fold()) return decoder.fold()->base_fingerprint;
  const DecoderSpec& spec = decoder.spec();
  base::Checksum hash;
  hash.Update(std::as_bytes(std::span(spec.architecture)));
  const std::array<std::int64_t, 7> shape = {spec.layers,         spec.width,  spec.heads,
                                             spec.kv_heads,       spec.hidden, spec.head_dim,
                                             decoder.vocabulary()};
  hash.Update(std::as_bytes(std::span(shape)));
  const auto add = [&](const NormWeights& norm) {
    hash.Update(std::as_bytes(std::span(norm.weight)));
    hash.Update(std::as_bytes(std::span(norm.bias)));
  };
  for (const DecoderLayer& layer : decoder.layers()) {
    add(layer.attention_norm);
    add(layer.mlp_norm);
  }
  add(decoder.final_norm());
  return hash.Digits();
}

}  // namespace ondine::models
