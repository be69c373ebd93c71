#include "adapters/feature.h"

#include <cstddef>
#include <utility>

#include "compute/elementwise.h"

namespace ondine::adapters {

FeatureReader::FeatureReader(std::shared_ptr<const models::Decoder> decoder)
    : decoder_(std::move(decoder)) {
  const compute::Linear& query = decoder_->layers().front().query;
  query_.resize(static_cast<std::size_t>(query.in() * query.out()));
  for (std::int64_t i = 0; i < query.out(); ++i) query.GetRow(i, query_.data() + i * query.in());
}

std::vector<float> FeatureReader::Read(std::span<const std::vector<std::int32_t>> prompts) const {
  const models::DecoderSpec& spec = decoder_->spec();
  const models::DecoderLayer& layer = decoder_->layers().front();
  const auto width = static_cast<std::size_t>(spec.width);
  std::vector<double> mean(width);
  std::vector<float> row(width);
  for (const std::vector<std::int32_t>& prompt : prompts) {
    const double share = 1 / static_cast<double>(prompt.size() * prompts.size());
    for (const std::int32_t token : prompt) {
      decoder_->embedding().GetRow(token, row.data());
      for (float& value : row) value *= spec.embedding_scale;
      compute::RmsNorm(row, layer.attention_norm, spec.norm_epsilon, row);
      for (std::size_t i = 0; i < width; ++i) mean[i] += share * row[i];
    }
  }
  std::vector<float> feature(static_cast<std::size_t>(layer.query.out()));
  for (std::size_t i = 0; i < feature.size(); ++i) {
    const float* weights = query_.data() + i * width;
    double sum = spec.qkv_bias ? layer.query_bias[i] : 0;
    for (std::size_t j = 0; j < width; ++j) sum += weights[j] * mean[j];
    feature[i] = static_cast<float>(sum);
  }
  return feature;
}

}  // namespace ondine::adapters
