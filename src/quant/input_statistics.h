// What a model's activations look like: the ranges that static codes must cover.
#ifndef ONDINE_SRC_QUANT_INPUT_STATISTICS_H_
#define ONDINE_SRC_QUANT_INPUT_STATISTICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include "models/decoder_pass.h"
#include "models/quantization.h"
#include "quant/range.h"

namespace ondine::quant {

struct SiteStatistics {
  Histogram values;
  std::vector<float> largest;  // of each channel's magnitudes
};
using LayerStatistics = std::array<SiteStatistics, models::kCodeSites>;
using LayerRanges = std::array<Range, models::kCodeSites>;

// `range_of` each site's values, layer after layer.
std::vector<LayerRanges> RangesOf(const std::vector<LayerStatistics>& layers,
                                  const std::function<Range(const Histogram&)>& range_of);

// Collects them from the passes of a model of `layers` layers. Each of `workers` workers has
// statistics of its own, which Sum() adds up.
class InputCollector : public models::PassObserver {
 public:
  // `scales`: [layers * sites], none or of each channel, that values are multiplied by before they
  // are counted; empty: none at all.
  InputCollector(int layers, std::vector<std::vector<float>> scales, int workers);

  void OnInput(compute::Worker& worker, int layer, models::CodeSite site,
               const compute::Activations& rows) override;

  bool finite() const { return finite_; }  // so far; rows that were not are left out
  std::vector<LayerStatistics> Sum() const;

 private:
  std::vector<std::vector<LayerStatistics>> of_workers_;
  std::size_t layers_;
  std::vector<std::vector<float>> scales_;
  std::atomic<bool> finite_ = true;
};

}  // namespace ondine::quant

#endif  // ONDINE_SRC_QUANT_INPUT_STATISTICS_H_
