// What a model file says about its 8-bit matrices and the static codes of their inputs (W8A8,
// docs/formats/int8.md), and about channel scales that were folded into its weights.
#ifndef ONDINE_SRC_MODELS_QUANTIZATION_H_
#define ONDINE_SRC_MODELS_QUANTIZATION_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/static_code.h"
#include "formats/gguf.h"
#include "ondine/result.h"

namespace ondine::models {

// Where a layer's activations become integers: before the matrices that read them.
enum class CodeSite {
  kAttention,  // queries, keys, values
  kOutput,
  kMlp,  // gate, up
  kDown,
};
inline constexpr std::size_t kCodeSites = 4;
inline constexpr std::array<std::string_view, kCodeSites> kCodeSiteNames = {"attention", "output",
                                                                            "mlp", "down"};

struct LayerCodes {
  std::array<compute::StaticCode, kCodeSites> of_site;

  const compute::StaticCode& at(CodeSite site) const {
    return of_site[static_cast<std::size_t>(site)];
  }
};

struct Quantization {
  std::string scheme = {};      // "w8a8"
  bool per_channel = true;      // scales of weights; else one for each matrix
  std::string provenance = {};  // how it was made
  std::vector<LayerCodes> layers = {};
};

// Nullopt where the file has none. kCorrupt: a code that is none, or not one for each site of
// `layers` layers; kUnsupported: a version that this program does not know.
Result<std::optional<Quantization>> ReadQuantization(const formats::GgufFile& file, int layers);
// `floats` tells people what stays in floats besides outliers.
void WriteQuantization(const Quantization& quantization, const std::string& floats,
                       formats::GgufWriter& writer);

// The tensor beside an 8-bit matrix that holds its scales.
std::string ScalesName(std::string_view matrix);

}  // namespace ondine::models

#endif  // ONDINE_SRC_MODELS_QUANTIZATION_H_
