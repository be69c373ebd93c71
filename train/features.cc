#include "train/features.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "compute/elementwise.h"

namespace ondine::train {
namespace {

template <typename A, typename B>
double Dot(const A* a, const B* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

QueryFeatures::QueryFeatures(const models::Decoder& decoder)
    : decoder_(decoder), bias_(decoder.layers().front().query_bias) {
  const compute::Linear& query = decoder.layers().front().query;
  query_.resize(static_cast<std::size_t>(query.out() * query.in()));
  for (std::int64_t i = 0; i < query.out(); ++i) query.GetRow(i, query_.data() + i * query.in());
  bias_.resize(static_cast<std::size_t>(query.out()), 0.0f);
}

std::vector<float> QueryFeatures::Of(std::span<const std::int32_t> tokens) const {
  assert(!tokens.empty());
  const models::DecoderSpec& spec = decoder_.spec();
  const auto width = static_cast<std::size_t>(spec.width);
  std::vector<float> embedded(width);
  std::vector<double> mean(width, 0.0);
  for (const std::int32_t token : tokens) {
    decoder_.embedding().GetRow(token, embedded.data());
    for (float& value : embedded) value *= spec.embedding_scale;
    compute::RmsNorm(embedded, decoder_.layers().front().attention_norm, spec.norm_epsilon,
                     embedded);
    for (std::size_t i = 0; i < width; ++i) mean[i] += static_cast<double>(embedded[i]);
  }
  for (double& value : mean) value /= static_cast<double>(tokens.size());
  std::vector<float> q(dim());
  for (std::size_t i = 0; i < q.size(); ++i) {
    q[i] = static_cast<float>(Dot(query_.data() + i * width, mean.data(), width)) + bias_[i];
  }
  return q;
}

std::vector<float> MeanOf(std::span<const float> points, std::size_t dim) {
  std::vector<double> sums(dim, 0.0);
  for (std::size_t i = 0; i < points.size(); ++i) sums[i % dim] += static_cast<double>(points[i]);
  std::vector<float> mean(dim);
  const double count = static_cast<double>(points.size()) / static_cast<double>(dim);
  for (std::size_t i = 0; i < dim; ++i) mean[i] = static_cast<float>(sums[i] / count);
  return mean;
}

void Center(std::span<float> q, std::span<const float> mean) {
  for (std::size_t i = 0; i < q.size(); ++i) q[i] -= mean[i];
  const double length = std::sqrt(Dot(q.data(), q.data(), q.size()));
  if (length == 0) return;
  for (float& value : q) value = static_cast<float>(static_cast<double>(value) / length);
}

std::vector<float> BlendWeights(std::span<const float> z, const Points& indicators,
                                double temperature) {
  std::vector<double> scores;
  for (std::size_t n = 0; n < indicators.count(); ++n) {
    scores.push_back(Dot(z.data(), indicators[n], indicators.dim) / temperature);
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - largest);
  std::vector<float> weights;
  for (const double score : scores) weights.push_back(static_cast<float>(score / total));
  return weights;
}

}  // namespace ondine::train
