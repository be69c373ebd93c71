#include "adapters/pool.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/checksum.h"
#include "base/quote.h"

namespace ondine {
namespace {

constexpr const char* kSeparate = "separate";
constexpr const char* kProduct = "product";

}  // namespace

Result<BlendForm> ParseBlendForm(std::string_view name) {
  if (name == kSeparate) return BlendForm::kSeparate;
  if (name == kProduct) return BlendForm::kProduct;
  return MakeError(ErrorCode::kInvalidArgument,
                   "adapters are blended separate or product, not " + base::Quote(name));
}

const char* BlendFormName(BlendForm form) {
  return form == BlendForm::kSeparate ? kSeparate : kProduct;
}

namespace adapters {
namespace {

double Dot(const std::vector<float>& x, const std::vector<float>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(x[i]) * y[i];
  return sum;
}

void AddScaled(double weight, const std::vector<float>& from, std::vector<float>& to) {
  to.resize(from.size());
  const auto factor = static_cast<float>(weight);
  for (std::size_t i = 0; i < from.size(); ++i) to[i] += factor * from[i];
}

LowRankFactors Separate(const std::vector<LowRankFactors>& all,
                        const std::vector<double>& weights) {
  LowRankFactors blend{all[0].in, all[0].out, all[0].rank, {}, {}};
  for (std::size_t n = 0; n < all.size(); ++n) {
    AddScaled(weights[n], all[n].a, blend.a);
    AddScaled(weights[n], all[n].b, blend.b);
  }
  return blend;
}

// The A stand one below the other, the weighted B side by side.
LowRankFactors Product(const std::vector<LowRankFactors>& all, const std::vector<double>& weights) {
  const auto count = static_cast<std::int64_t>(all.size());
  const std::int64_t rank = all[0].rank;
  LowRankFactors blend{all[0].in, all[0].out, count * rank, {}, {}};
  blend.b.resize(static_cast<std::size_t>(blend.out * blend.rank));
  for (std::int64_t n = 0; n < count; ++n) {
    const LowRankFactors& one = all[static_cast<std::size_t>(n)];
    const auto weight = static_cast<float>(weights[static_cast<std::size_t>(n)]);
    blend.a.insert(blend.a.end(), one.a.begin(), one.a.end());
    for (std::int64_t row = 0; row < blend.out; ++row) {
      for (std::int64_t r = 0; r < rank; ++r) {
        blend.b[static_cast<std::size_t>(row * blend.rank + n * rank + r)] =
            weight * one.b[static_cast<std::size_t>(row * rank + r)];
      }
    }
  }
  return blend;
}

}  // namespace

std::vector<double> SoftmaxOf(const std::vector<double>& similarities, double temperature) {
  std::vector<double> weights;
  const double largest = *std::max_element(similarities.begin(), similarities.end());
  double total = 0;
  for (const double similarity : similarities) {
    weights.push_back(std::exp((similarity - largest) / temperature));
    total += weights.back();
  }
  for (double& weight : weights) weight /= total;
  return weights;
}

std::vector<float> Direction(const TaskSpace& tasks, const std::vector<float>& feature) {
  std::vector<float> direction(feature.size());
  for (std::size_t i = 0; i < feature.size(); ++i) direction[i] = feature[i] - tasks.mean[i];
  const double length = std::sqrt(Dot(direction, direction));
  if (length == 0) return direction;
  for (float& x : direction) x = static_cast<float>(x / length);
  return direction;
}

Result<std::vector<double>> Similarities(const TaskSpace& tasks,
                                         const std::vector<float>& feature) {
  if (feature.size() != tasks.mean.size()) {
    return MakeError(ErrorCode::kMismatch,
                     "the pool's indicators have " + std::to_string(tasks.mean.size()) +
                         " dimensions, the model's features " + std::to_string(feature.size()));
  }
  if (!std::isfinite(Dot(feature, feature))) {
    return MakeError(ErrorCode::kInvalidArgument, "a feature is not finite");
  }
  const std::vector<float> direction = Direction(tasks, feature);
  std::vector<double> similarities;
  for (const std::vector<float>& indicator : tasks.indicators) {
    similarities.push_back(Dot(direction, indicator));
  }
  return similarities;
}

std::string Fingerprint(const Pool& pool) {
  base::Checksum hash;
  const auto add = [&](const auto& values) { hash.Update(std::as_bytes(std::span(values))); };
  add(pool.base_fingerprint);
  add(std::array{pool.alpha, pool.temperature, static_cast<double>(pool.form)});
  add(pool.tasks.mean);
  for (const std::vector<float>& indicator : pool.tasks.indicators) add(indicator);
  for (const auto& [tensor, adapters] : pool.matrices) {
    add(tensor);
    for (const LowRankFactors& factors : adapters) {
      add(factors.a);
      add(factors.b);
    }
  }
  return hash.Digits();
}

Result<LoraAdapter> Blend(const Pool& pool, const std::vector<double>& weights, BlendForm form) {
  if (weights.size() != pool.size()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     std::to_string(weights.size()) + " weights for a pool of " +
                         std::to_string(pool.size()) + " adapters",
                     pool.name);
  }
  for (const double weight : weights) {
    if (!std::isfinite(static_cast<float>(weight))) {
      return MakeError(ErrorCode::kInvalidArgument, "a weight is not finite", pool.name);
    }
  }
  LoraAdapter adapter;
  adapter.name = pool.name;
  adapter.architecture = pool.architecture;
  // alpha / rank stays what it was in training, whatever the blend's rank.
  const bool product = form == BlendForm::kProduct;
  // As a float, which is what a file holds.
  const double times = product ? static_cast<double>(pool.size()) : 1;
  adapter.alpha = static_cast<float>(pool.alpha * times);
  for (const auto& [tensor, factors] : pool.matrices) {
    adapter.matrices[tensor] = product ? Product(factors, weights) : Separate(factors, weights);
  }
  return adapter;
}

}  // namespace adapters
}  // namespace ondine
