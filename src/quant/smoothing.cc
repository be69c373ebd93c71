#include "quant/smoothing.h"

#include <algorithm>
#include <cmath>

namespace ondine::quant {
namespace {

using models::CodeSite;
using models::DecoderLayer;
using models::DecoderSpec;
using models::FoldSite;

constexpr float kLeast = 1e-5f;  // of a channel that is never used

// What reads a site's channels, and where they become integers.
struct Readers {
  CodeSite inputs;
  std::vector<const compute::Linear*> matrices;
};
Readers ReadersOf(const DecoderLayer& layer, FoldSite site) {
  switch (site) {
    case FoldSite::kAttentionNorm:
      return {CodeSite::kAttention, {&layer.query, &layer.key, &layer.value}};
    case FoldSite::kMlpNorm: return {CodeSite::kMlp, {&layer.gate, &layer.up}};
    case FoldSite::kValue: return {CodeSite::kOutput, {&layer.output}};
    case FoldSite::kUp: return {CodeSite::kDown, {&layer.down}};
  }
  return {};
}

void RaiseTo(float value, float& largest) {
  largest = std::max(largest, std::fabs(value));
}

// Of each column, the greatest magnitude in any of the matrices.
std::vector<float> LargestOfColumns(const std::vector<const compute::Linear*>& matrices) {
  std::vector<float> largest, row;
  for (const compute::Linear* matrix : matrices) {
    if (!matrix->present()) continue;
    row.resize(static_cast<std::size_t>(matrix->in()));
    largest.resize(row.size());
    for (std::int64_t j = 0; j < matrix->out(); ++j) {
      matrix->GetRow(j, row.data());
      for (std::size_t i = 0; i < row.size(); ++i) RaiseTo(row[i], largest[i]);
    }
  }
  return largest;
}

std::vector<float> LargestOfRows(const compute::Linear& matrix) {
  std::vector<float> largest(static_cast<std::size_t>(matrix.out()));
  std::vector<float> row(static_cast<std::size_t>(matrix.in()));
  for (std::int64_t j = 0; j < matrix.out(); ++j) {
    matrix.GetRow(j, row.data());
    for (const float value : row) RaiseTo(value, largest[static_cast<std::size_t>(j)]);
  }
  return largest;
}

// Query heads that share a KV head share its channels.
std::vector<float> LargestOfKvChannels(const DecoderSpec& spec,
                                       const std::vector<float>& of_query_channels) {
  std::vector<float> largest(static_cast<std::size_t>(spec.kv_width()));
  const auto heads = static_cast<std::size_t>(spec.heads);
  const auto head_dim = static_cast<std::size_t>(spec.head_dim);
  const std::size_t group = heads / static_cast<std::size_t>(spec.kv_heads);
  for (std::size_t head = 0; head < heads; ++head) {
    for (std::size_t c = 0; c < head_dim; ++c) {
      RaiseTo(of_query_channels[head * head_dim + c], largest[head / group * head_dim + c]);
    }
  }
  return largest;
}

std::vector<float> ProducersOf(const DecoderLayer& layer, FoldSite site) {
  switch (site) {
    case FoldSite::kAttentionNorm: return layer.attention_norm.weight;
    case FoldSite::kMlpNorm: return layer.mlp_norm.weight;
    case FoldSite::kValue: return LargestOfRows(layer.value);
    case FoldSite::kUp: return LargestOfRows(layer.up);
  }
  return {};
}

// readers^reader_power / producers^producer_power, with geometric mean 1.
std::vector<float> Balanced(const std::vector<float>& readers, double reader_power,
                            const std::vector<float>& producers, double producer_power) {
  std::vector<double> logarithms;
  double mean = 0;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    logarithms.push_back(reader_power * std::log(std::max(readers[i], kLeast)) -
                         producer_power * std::log(std::max(std::fabs(producers[i]), kLeast)));
    mean += logarithms.back() / static_cast<double>(readers.size());
  }
  std::vector<float> scales;
  scales.reserve(logarithms.size());
  for (const double value : logarithms) {
    scales.push_back(static_cast<float>(std::exp(value - mean)));
  }
  return scales;
}

// `scales_of` makes a site's scales from the layer, its index and the readers' largest weights.
template <typename ScalesOf>
models::ChannelScales ForAll(const models::Decoder& decoder, std::span<const FoldSite> sites,
                             ScalesOf&& scales_of) {
  const DecoderSpec& spec = decoder.spec();
  models::ChannelScales all(static_cast<std::size_t>(spec.layers));
  for (std::size_t index = 0; index < all.size(); ++index) {
    const DecoderLayer& layer = decoder.layers()[index];
    for (const FoldSite site : sites) {
      if (FoldWidth(spec, site) == 0) continue;
      const Readers readers = ReadersOf(layer, site);
      std::vector<float> weights = LargestOfColumns(readers.matrices);
      if (site == FoldSite::kValue) weights = LargestOfKvChannels(spec, weights);
      all[index].at(site) = scales_of(index, site, readers.inputs, weights);
    }
  }
  return all;
}

}  // namespace

models::ChannelScales SmoothScales(const models::Decoder& decoder, const LargestInputs& largest,
                                   std::span<const FoldSite> sites, double strength) {
  return ForAll(
      decoder, sites,
      [&](std::size_t index, FoldSite site, CodeSite code, const std::vector<float>& weights) {
        std::vector<float> inputs = largest[index][static_cast<std::size_t>(code)];
        if (site == FoldSite::kValue) inputs = LargestOfKvChannels(decoder.spec(), inputs);
        return Balanced(weights, 1 - strength, inputs, strength);
      });
}

models::ChannelScales EqualizedScales(const models::Decoder& decoder,
                                      std::span<const FoldSite> sites) {
  return ForAll(decoder, sites,
                [&](std::size_t index, FoldSite site, CodeSite, const std::vector<float>& weights) {
                  return Balanced(weights, 0.5, ProducersOf(decoder.layers()[index], site), 0.5);
                });
}

}  // namespace ondine::quant
