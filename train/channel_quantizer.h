// The learned part of a quantised decoder: channel scales and ranges, in front of frozen weights
// (Quadapter: Park et al., Findings of EMNLP 2022, arXiv 2211.16912).
#ifndef ONDINE_TRAIN_CHANNEL_QUANTIZER_H_
#define ONDINE_TRAIN_CHANNEL_QUANTIZER_H_

#include <torch/types.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "models/channel_scales.h"
#include "models/decoder_spec.h"
#include "quant/scales_file.h"
#include "quant/smoothing.h"
#include "train/decoder_twin.h"
#include "train/weight_rounding.h"

namespace ondine::train {

struct QuantizationScheme {
  int weight_bits = 8, activation_bits = 8;
  bool per_channel = true;
  // The share of each input's values that stay as they are, outside of ranges that follow the
  // values: compute::StaticCode::keeps_outliers. 0: ranges cover what was observed, moved by
  // factors that are learned, and clip the rest.
  double outliers = 0;
};

class ChannelQuantizer : public Quantizer {
 public:
  // Scales of 1 that can be learned at those of `sites` that the architecture has, none elsewhere.
  // `precision` is that of products of codes: torch::kBFloat16 holds all codes exactly.
  ChannelQuantizer(const models::DecoderSpec& spec, const std::vector<models::FoldSite>& sites,
                   const QuantizationScheme& scheme, torch::Device device,
                   torch::Dtype precision = torch::kFloat);

  torch::Tensor OfNorm(int layer, models::FoldSite site,
                       const torch::Tensor& values) const override;
  torch::Tensor Bias(int layer, LoraSite site, const torch::Tensor& bias) const override;
  torch::Tensor Input(int layer, models::CodeSite site, const torch::Tensor& x) const override;
  torch::Tensor Product(int layer, LoraSite site, const torch::Tensor& x,
                        const torch::Tensor& weights) const override;

  enum class Mode {
    kObserve,  // rounds nothing, and widens each channel's limits to what passes
    kCode,
  };
  void SetMode(Mode mode) { mode_ = mode; }

  // A layer's parameters: logarithms of its scales, and of the factors by which the ends of its
  // ranges, which follow limits and scales, are moved.
  std::vector<torch::Tensor> Logarithms(int layer) const;
  std::vector<torch::Tensor> Ends(int layer) const;
  // Logarithms of scales are held within [-limit, limit].
  void Clamp(int layer, double limit);

  // From now on the layer's matrices are rounded as is learned, with the scales that there are now.
  void LearnRounding(int layer, const DecoderTwin& twin);
  std::vector<torch::Tensor> Roundings(int layer) const;
  torch::Tensor RoundingPenalty(int layer, double beta) const;  // mean of the matrices'
  // This one as it would be if it had learned no rounding; scales and ranges are shared.
  ChannelQuantizer RoundingToNearest() const;
  // What a matrix is rounded to, without scales; where it is learned.
  torch::Tensor RoundedWeights(int layer, LoraSite site) const;

  // Of what was observed.
  quant::LargestInputs Largest() const;
  void SetScales(const models::ChannelScales& scales);

  models::ChannelScales Scales() const;
  // None with outliers.
  std::vector<quant::LayerRanges> Ranges() const;

 private:
  struct Layer {
    std::array<torch::Tensor, models::kFoldSites> logarithms;  // undefined where there are none
    // Of the inputs as they are without scales, [channels]; 0 before anything was observed.
    std::array<torch::Tensor, models::kCodeSites> lowest, highest;
    std::array<torch::Tensor, models::kCodeSites> ends;  // [2]: low, high
    std::array<std::optional<WeightRounding>, models::kLoraPlaces.size()> roundings;
    // With outliers: the range of the last input, {low, high}.
    mutable std::array<std::pair<torch::Tensor, torch::Tensor>, models::kCodeSites> current;
  };
  struct Limits {
    torch::Tensor low, high;
  };
  const Layer& at(int layer) const { return layers_[static_cast<std::size_t>(layer)]; }
  torch::Tensor ScaleOf(int layer, models::FoldSite site) const;  // undefined: 1
  torch::Tensor InputScale(int layer, models::CodeSite site) const;
  torch::Tensor Folded(int layer, LoraSite site, const torch::Tensor& weights) const;
  torch::Tensor OfQueryChannels(const torch::Tensor& of_kv) const;
  Limits RangeOf(int layer, models::CodeSite site) const;

  models::DecoderSpec spec_;
  QuantizationScheme scheme_;
  torch::Dtype precision_;
  std::vector<Layer> layers_;
  Mode mode_ = Mode::kCode;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CHANNEL_QUANTIZER_H_
