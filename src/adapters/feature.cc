#include "adapters/feature.h"

#include <array>
#include <cstddef>
#include <numeric>
#include <utility>

namespace ondine::adapters {
namespace {

// In lanes, which compilers turn into vectors: what is left over must stay out of their sight.
float Dot(const float* x, const float* y, std::size_t count) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> sums{};
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  }
  return std::accumulate(sums.begin(), sums.end(),
                         std::inner_product(x + whole, x + count, y + whole, 0.0F));
}

}  // namespace

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
      models::Normalize(layer.attention_norm, spec.norm_epsilon, row, row);
      for (std::size_t i = 0; i < width; ++i) mean[i] += share * row[i];
    }
  }
  const std::vector<float> rounded(mean.begin(), mean.end());
  std::vector<float> feature(static_cast<std::size_t>(layer.query.out()));
  for (std::size_t i = 0; i < feature.size(); ++i) {
    feature[i] = Dot(query_.data() + i * width, rounded.data(), width) +
                 (spec.qkv_bias ? layer.query_bias[i] : 0);
  }
  return feature;
}

}  // namespace ondine::adapters
