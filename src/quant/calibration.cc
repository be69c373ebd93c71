#include "quant/calibration.h"

#include <algorithm>
#include <string>

#include "base/try.h"
#include "models/decoder_pass.h"
#include "models/kv_cache.h"

namespace ondine::quant {
namespace {

using models::DecoderPass;

// Those of each layer's inputs, site after site.
std::vector<std::vector<float>> OfInputs(const models::DecoderSpec& spec,
                                         const models::ChannelScales& scales) {
  std::vector<std::vector<float>> all;
  for (const models::LayerScales& layer : scales) {
    for (std::size_t site = 0; site < models::kCodeSites; ++site) {
      all.push_back(models::InputScales(spec, layer, static_cast<models::CodeSite>(site)));
    }
  }
  return all;
}

}  // namespace

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
  const models::DecoderSpec& spec = decoder->spec();
  InputCollector collector(spec.layers, OfInputs(spec, options.scales), pool.threads());
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
  return Calibration{collector.Sum(), sequences * options.context};
}

}  // namespace ondine::quant
