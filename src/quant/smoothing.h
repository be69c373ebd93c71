// Channel scales that need no training: to begin one with, and to compare it with.
#ifndef ONDINE_SRC_QUANT_SMOOTHING_H_
#define ONDINE_SRC_QUANT_SMOOTHING_H_

#include <array>
#include <span>
#include <vector>

#include "models/channel_scales.h"
#include "models/decoder.h"

namespace ondine::quant {

// Of each layer's and each site's channels, the greatest magnitude that a text has shown.
using LargestInputs = std::vector<std::array<std::vector<float>, models::kCodeSites>>;

// SmoothQuant (Xiao et al., ICML 2023, arXiv 2211.10438): max|W_i|^(1 - strength) /
// max|x_i|^strength of each channel, over all matrices that read it. Sites that the architecture
// has not are left out; the geometric mean of a site's scales is 1.
models::ChannelScales SmoothScales(const models::Decoder& decoder, const LargestInputs& largest,
                                   std::span<const models::FoldSite> sites, double strength);

// Cross-layer equalisation (Nagel et al., ICCV 2019, arXiv 1906.04721), which needs no text:
// sqrt(max|W_i| / max|P_i|), where P_i is what gives the channel: the norm's weight, or a row of
// values or of up.
models::ChannelScales EqualizedScales(const models::Decoder& decoder,
                                      std::span<const models::FoldSite> sites);

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_SMOOTHING_H_
