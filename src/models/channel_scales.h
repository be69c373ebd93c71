// Channel scales of a decoder's activations (Quadapter: Park et al., Findings of EMNLP 2022, arXiv
// 2211.16912), and what folding them into the weights does: a producer's channels are multiplied, a
// reader's input columns divided, so that the model computes what it did.
#ifndef ONDINE_SRC_MODELS_CHANNEL_SCALES_H_
#define ONDINE_SRC_MODELS_CHANNEL_SCALES_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "models/decoder_spec.h"
#include "models/quantization.h"
#include "ondine/result.h"

namespace ondine::models {

// Where scales can stand.
enum class FoldSite {
  kAttentionNorm,  // norm -> queries, keys, values
  kMlpNorm,        // norm -> gate, up
  kValue,          // values -> output; one scale for each channel of a KV head
  kUp,             // up -> down
};
inline constexpr std::size_t kFoldSites = 4;
inline constexpr std::array<std::string_view, kFoldSites> kFoldSiteNames = {
    "attention_norm", "mlp_norm", "value", "up"};
// Channels of a site; 0 where the architecture has no such site: an activation function between up
// and down lets no scale pass.
std::int64_t FoldWidth(const DecoderSpec& spec, FoldSite site);

struct LayerScales {
  std::array<std::vector<float>, kFoldSites> of_site;  // positive; empty: all 1

  const std::vector<float>& at(FoldSite site) const {
    return of_site[static_cast<std::size_t>(site)];
  }
  std::vector<float>& at(FoldSite site) { return of_site[static_cast<std::size_t>(site)]; }
};

using ChannelScales = std::vector<LayerScales>;  // [layers]

// What folding makes of a tensor: element [j][i] is multiplied by rows[j] and divided by
// columns[i]; empty: by nothing. Of a vector, elements are rows.
struct TensorFold {
  std::vector<float> rows, columns;

  bool changes() const { return !rows.empty() || !columns.empty(); }
};
TensorFold FoldOf(const DecoderSpec& spec, const ChannelScales& scales, std::string_view tensor);

// Whether a tensor is a matrix of a layer: one of those that become integers.
bool IsLayerMatrix(std::string_view tensor);

// What the inputs of matrices are multiplied by where scales are folded in; empty: by nothing.
std::vector<float> InputScales(const DecoderSpec& spec, const LayerScales& scales, CodeSite site);

// Scales that were folded into a model file's weights, so that adapters made for the model it came
// from can follow.
struct Fold {
  std::string base_fingerprint;  // of the model before
  ChannelScales scales;
};
// Nullopt where there is none; kCorrupt where they do not fit the model.
Result<std::optional<Fold>> ReadFold(const formats::GgufFile& file, const DecoderSpec& spec);
void WriteFold(const Fold& fold, const DecoderSpec& spec, formats::GgufWriter& writer);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_CHANNEL_SCALES_H_
