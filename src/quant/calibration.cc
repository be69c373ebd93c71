#include "quant/calibration.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "base/try.h"
#include "models/decoder_pass.h"
#include "models/kv_cache.h"

namespace ondine::quant {
namespace {

using models::DecoderPass;

// Each worker has statistics of its own, which Sum() adds up.
class Collector : public models::PassObserver {
 public:
  Collector(const models::DecoderSpec& spec, const models::ChannelScales& scales, int workers)
      : of_workers_(static_cast<std::size_t>(workers)),
        layers_(static_cast<std::size_t>(spec.layers)) {
    for (auto& statistics : of_workers_) statistics.resize(layers_);
    for (std::size_t layer = 0; layer < scales.size(); ++layer) {
      for (std::size_t site = 0; site < models::kCodeSites; ++site) {
        scales_.push_back(
            models::InputScales(spec, scales[layer], static_cast<models::CodeSite>(site)));
      }
    }
  }

  void OnInput(compute::Worker& worker, int layer, models::CodeSite site,
               const compute::Activations& rows) override {
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

  bool finite() const { return finite_; }

  Calibration Sum() const {
    Calibration sum;
    sum.layers.resize(layers_);
    for (const auto& statistics : of_workers_) {
      for (std::size_t layer = 0; layer < layers_; ++layer) {
        for (std::size_t site = 0; site < models::kCodeSites; ++site) {
          Add(statistics[layer][site], sum.layers[layer][site]);
        }
      }
    }
    return sum;
  }

 private:
  static void Add(const SiteStatistics& part, SiteStatistics& sum) {
    sum.values.Merge(part.values);
    sum.largest.resize(std::max(sum.largest.size(), part.largest.size()));
    for (std::size_t c = 0; c < part.largest.size(); ++c) {
      sum.largest[c] = std::max(sum.largest[c], part.largest[c]);
    }
  }

  std::vector<std::vector<std::array<SiteStatistics, models::kCodeSites>>> of_workers_;
  std::size_t layers_;
  std::vector<std::vector<float>> scales_;  // [layers][sites], none or of each channel
  std::atomic<bool> finite_ = true;
};

}  // namespace

std::vector<LayerRanges> RangesOf(const Calibration& calibration,
                                  const std::function<Range(const Histogram&)>& range_of) {
  std::vector<LayerRanges> ranges;
  ranges.reserve(calibration.layers.size());
  for (const auto& layer : calibration.layers) {
    LayerRanges& of_layer = ranges.emplace_back();
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      of_layer[site] = range_of(layer[site].values);
    }
  }
  return ranges;
}

Result<Calibration> Calibrate(std::shared_ptr<const models::Decoder> decoder,
                              compute::ThreadPool& pool, std::span<const std::int32_t> tokens,
                              const CalibrationOptions& options) {
  if (decoder->quantization()) {
    return MakeError(ErrorCode::kInvalidArgument, "the model is quantised to 8 bits already");
  }
  const auto total = static_cast<std::int64_t>(tokens.size());
  const std::int64_t sequences = std::min(options.sequences, total / options.context);
  if (sequences < 1) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the calibration text has " + std::to_string(total) +
                         " tokens; at least one sequence of " + std::to_string(options.context) +
                         " is needed");
  }
  const models::KvSettings settings = {options.context, compute::KvType::kF16,
                                       models::Positions::kReset};
  ONDINE_TRY(models::KvCache::Check(decoder->spec(), settings));
  Collector collector(decoder->spec(), options.scales, pool.threads());
  models::KvCache cache(decoder->spec(), settings);
  DecoderPass pass(std::move(decoder), pool);
  std::vector<std::int32_t> sequence;
  for (std::int64_t s = 0; s < sequences; ++s) {
    const auto begin = tokens.begin() + s * options.context;
    sequence.assign(begin, begin + options.context);
    if (options.bos) sequence.front() = *options.bos;
    cache.Clear();
    for (std::int64_t first = 0; first < options.context; first += DecoderPass::kMaxTokens) {
      if (options.stop_token.Stopped()) return MakeError(ErrorCode::kCancelled, "stopped");
      const std::int64_t n = std::min(DecoderPass::kMaxTokens, options.context - first);
      cache.Prepare(n);
      pass.Run(
          std::span(sequence).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
          cache, &collector);
    }
    if (!collector.finite()) {
      return MakeError(ErrorCode::kCorrupt, "an activation of the model is not finite");
    }
    if (options.on_progress) options.on_progress(s + 1, sequences);
  }
  Calibration calibration = collector.Sum();
  calibration.tokens = sequences * options.context;
  return calibration;
}

}  // namespace ondine::quant
