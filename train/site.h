// The matrices of a decoder's layer that training can add to.
#ifndef ONDINE_TRAIN_SITE_H_
#define ONDINE_TRAIN_SITE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "models/decoder_spec.h"

namespace ondine::train {

enum class Site { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };

struct SiteName {
  Site site;
  std::string_view option;  // on the command line
  std::string_view tensor;  // in GGUF files, behind "blk.<layer>."
};
inline constexpr std::array kSites = {
    SiteName{Site::kQuery, "q", "attn_q"},     SiteName{Site::kKey, "k", "attn_k"},
    SiteName{Site::kValue, "v", "attn_v"},     SiteName{Site::kOutput, "o", "attn_output"},
    SiteName{Site::kGate, "gate", "ffn_gate"}, SiteName{Site::kUp, "up", "ffn_up"},
    SiteName{Site::kDown, "down", "ffn_down"},
};

// "blk.3.attn_q.weight"
inline std::string TensorName(int layer, Site site) {
  return "blk." + std::to_string(layer) + "." +
         std::string(kSites[static_cast<std::size_t>(site)].tensor) + ".weight";
}

struct MatrixShape {
  std::int64_t in = 0, out = 0;
};
inline MatrixShape ShapeOf(const models::DecoderSpec& spec, Site site) {
  switch (site) {
    case Site::kQuery: return {spec.width, spec.query_width()};
    case Site::kKey:
    case Site::kValue: return {spec.width, spec.kv_width()};
    case Site::kOutput: return {spec.query_width(), spec.width};
    case Site::kGate:
    case Site::kUp: return {spec.width, spec.hidden};
    case Site::kDown: return {spec.hidden, spec.width};
  }
  return {};
}

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_SITE_H_
