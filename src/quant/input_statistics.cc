#include "quant/input_statistics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ondine::quant {
namespace {

void Add(const SiteStatistics& part, SiteStatistics& sum) {
  sum.values.Merge(part.values);
  sum.largest.resize(std::max(sum.largest.size(), part.largest.size()));
  for (std::size_t c = 0; c < part.largest.size(); ++c) {
    sum.largest[c] = std::max(sum.largest[c], part.largest[c]);
  }
}

}  // namespace

std::vector<LayerRanges> RangesOf(const std::vector<LayerStatistics>& layers,
                                  const std::function<Range(const Histogram&)>& range_of) {
  std::vector<LayerRanges> ranges;
  ranges.reserve(layers.size());
  for (const LayerStatistics& layer : layers) {
    LayerRanges& of_layer = ranges.emplace_back();
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      of_layer[site] = range_of(layer[site].values);
    }
  }
  return ranges;
}

InputCollector::InputCollector(int layers, std::vector<std::vector<float>> scales, int workers)
    : of_workers_(static_cast<std::size_t>(workers)),
      layers_(static_cast<std::size_t>(layers)),
      scales_(std::move(scales)) {
  for (auto& statistics : of_workers_) statistics.resize(layers_);
}

void InputCollector::OnInput(compute::Worker& worker, int layer, models::CodeSite site,
                             const compute::Activations& rows) {
  SiteStatistics& statistics =
      of_workers_[static_cast<std::size_t>(worker.index())][static_cast<std::size_t>(layer)]
                 [static_cast<std::size_t>(site)];
  const std::int64_t width = rows.width();
  statistics.largest.resize(static_cast<std::size_t>(width));
  std::vector<float> scaled(static_cast<std::size_t>(width));
  const std::vector<float> no_scales;
  const std::vector<float>& scales =
      scales_.empty() ? no_scales
                      : scales_[static_cast<std::size_t>(layer) * models::kCodeSites +
                                static_cast<std::size_t>(site)];
  const compute::Worker::Range share = worker.Share(rows.rows());
  for (std::int64_t i = share.begin; i < share.end; ++i) {
    const float* row = rows.Row(i);
    if (!scales.empty()) {
      for (std::size_t c = 0; c < scaled.size(); ++c) scaled[c] = row[c] * scales[c];
      row = scaled.data();
    }
    if (!std::all_of(row, row + width, [](float x) { return std::isfinite(x); })) {
      finite_ = false;
      continue;
    }
    statistics.values.Add(row, width);
    for (std::int64_t c = 0; c < width; ++c) {
      float& largest = statistics.largest[static_cast<std::size_t>(c)];
      largest = std::max(largest, std::fabs(row[c]));
    }
  }
}

std::vector<LayerStatistics> InputCollector::Sum() const {
  std::vector<LayerStatistics> sum(layers_);
  for (const auto& statistics : of_workers_) {
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      for (std::size_t site = 0; site < models::kCodeSites; ++site) {
        Add(statistics[layer][site], sum[layer][site]);
      }
    }
  }
  return sum;
}

}  // namespace ondine::quant
