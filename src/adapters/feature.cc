#include "adapters/feature.h"

#include <cstddef>

#include "compute/elementwise.h"

namespace ondine::adapters {

std::vector<float> QueryFeature(const models::Decoder& decoder,
                                std::span<const std::vector<std::int32_t>> prompts) {
  const models::DecoderSpec& spec = decoder.spec();
  const models::DecoderLayer& layer = decoder.layers().front();
  const auto width = static_cast<std::size_t>(spec.width);
  std::vector<double> mean(width);
  std::vector<float> row(width);
  for (const std::vector<std::int32_t>& prompt : prompts) {
    const double share = 1 / static_cast<double>(prompt.size() * prompts.size());
    for (const std::int32_t token : prompt) {
      decoder.embedding().GetRow(token, row.data());
      for (float& value : row) value *= spec.embedding_scale;
      compute::RmsNorm(row, layer.attention_norm, spec.norm_epsilon, row);
      for (std::size_t i = 0; i < width; ++i) mean[i] += share * row[i];
    }
  }
  std::vector<float> feature(static_cast<std::size_t>(layer.query.out()));
  for (std::size_t i = 0; i < feature.size(); ++i) {
    layer.query.GetRow(static_cast<std::int64_t>(i), row.data());
    double sum = spec.qkv_bias ? layer.query_bias[i] : 0;
    for (std::size_t j = 0; j < width; ++j) sum += row[j] * mean[j];
    feature[i] = static_cast<float>(sum);
  }
  return feature;
}

}  // namespace ondine::adapters
