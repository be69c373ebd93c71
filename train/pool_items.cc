#include "train/pool_items.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "adapters/feature.h"
#include "base/checksum.h"
#include "base/random.h"
#include "base/try.h"
#include "text/continuation.h"
#include "train/kmeans.h"

namespace ondine::train {
namespace {

constexpr int kRestarts = 10;  // of k-means

// The tokens that the engine scores.
Result<OptionTokens> Tokenize(const eval::McqaChoice& choice, const text::Tokenizer& tokenizer) {
  text::Continued text = text::EncodeContinued(tokenizer, choice.context, choice.continuation);
  if (text.context.empty() || text.continuation.empty()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a choice needs text before what is scored, and something to score");
  }
  OptionTokens option;
  option.scored = text.context.size();
  option.tokens = std::move(text.context);
  option.tokens.insert(option.tokens.end(), text.continuation.begin(), text.continuation.end());
  return option;
}

std::vector<float> MeanFeature(std::span<const PoolItem* const> items) {
  std::vector<double> sums;
  for (const PoolItem* item : items) {
    sums.resize(item->feature.size());
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(item->feature[i]);
  }
  std::vector<float> mean;
  for (const double sum : sums) {
    mean.push_back(static_cast<float>(sum / static_cast<double>(items.size())));
  }
  return mean;
}

}  // namespace

std::size_t PoolItems::Tokens() const {
  std::size_t tokens = 0;
  for (const PoolItem& item : items) tokens += item.choice.tree.size();
  return tokens;
}

std::string PoolItems::Fingerprint() const {
  base::Checksum hash;
  const auto add = [&]<typename T>(const std::vector<T>& values) {
    const std::uint64_t size = values.size();
    hash.Update(std::as_bytes(std::span(&size, 1)));
    hash.Update(std::as_bytes(std::span(values)));
  };
  for (const PoolItem& item : items) {
    add(item.choice.tree.tokens);
    add(item.choice.tree.branches);
    add(std::vector<std::uint64_t>{item.choice.gold});
    for (const std::vector<Prediction>& option : item.choice.options) {
      std::vector<std::uint64_t> predictions;
      for (const Prediction& prediction : option) {
        predictions.push_back(prediction.source);
        predictions.push_back(static_cast<std::uint64_t>(prediction.target));
      }
      add(predictions);
    }
    add(item.weights);
  }
  return hash.Digits();
}

Result<PoolItems> TokenizeItems(std::span<const eval::McqaItem> items,
                                const text::Tokenizer& tokenizer,
                                const adapters::FeatureReader& features, Options options,
                                std::size_t max_length) {
  PoolItems result;
  for (const eval::McqaItem& item : items) {
    std::vector<OptionTokens> tokens;
    for (std::size_t k = 0; k < item.choices.size(); ++k) {
      if (options == Options::kRightOne && k != item.gold) continue;
      ONDINE_ASSIGN(OptionTokens option, Tokenize(item.choices[k], tokenizer));
      tokens.push_back(std::move(option));
    }
    PoolItem prepared;
    prepared.task = item.task;
    prepared.choice = BuildChoiceTree(tokens, options == Options::kAll ? item.gold : 0);
    if (prepared.choice.tree.size() > max_length) {
      ++result.too_long;
      continue;
    }
    const std::vector<std::int32_t> prompt = tokenizer.Encode(item.prompt, {.add_bos = false});
    if (prompt.empty()) return MakeError(ErrorCode::kInvalidArgument, "an item without a prompt");
    prepared.feature = features.Read({&prompt, 1});
    result.items.push_back(std::move(prepared));
  }
  return result;
}

void ShareFeatures(std::size_t size, std::uint64_t seed, PoolItems& items) {
  std::map<std::string, std::vector<PoolItem*>> tasks;
  for (PoolItem& item : items.items) tasks[item.task].push_back(&item);
  base::Random random(seed);
  for (auto& [name, members] : tasks) {
    base::Shuffle(members, random);
    // None may be smaller, so the last one takes what is left over.
    const std::size_t groups = std::max<std::size_t>(1, members.size() / size);
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t end = g + 1 == groups ? members.size() : (g + 1) * size;
      const auto group = std::span(members).subspan(g * size, end - g * size);
      const std::vector<float> mean =
          MeanFeature(std::vector<const PoolItem*>(group.begin(), group.end()));
      for (PoolItem* member : group) member->feature = mean;
    }
  }
}

Result<adapters::TaskSpace> FindTasks(const PoolItems& training, int count, std::uint64_t seed) {
  std::set<std::vector<float>> distinct;
  for (const PoolItem& item : training.items) distinct.insert(item.feature);
  if (distinct.size() < static_cast<std::size_t>(count)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the items have only " + std::to_string(distinct.size()) + " features for " +
                         std::to_string(count) + " adapters: too few items, or too large groups");
  }
  adapters::TaskSpace space;
  std::vector<const PoolItem*> all;
  for (const PoolItem& item : training.items) all.push_back(&item);
  space.mean = MeanFeature(all);
  Points points;
  points.dim = space.mean.size();
  for (const PoolItem& item : training.items) {
    const std::vector<float> direction = adapters::Direction(space, item.feature);
    // A feature that is the mean has none.
    if (std::all_of(direction.begin(), direction.end(), [](float x) { return x == 0; })) continue;
    points.values.insert(points.values.end(), direction.begin(), direction.end());
  }
  if (points.values.empty()) {
    // One adapter is the nearest to everything, wherever it is said to be.
    space.indicators.assign(1, std::vector<float>(points.dim, 0.0f));
    space.indicators[0][0] = 1;
    return space;
  }
  ONDINE_ASSIGN(const Clusters clusters,
                FindClusters(points, static_cast<std::size_t>(count), kRestarts, seed));
  for (std::size_t n = 0; n < clusters.centroids.count(); ++n) {
    const float* centroid = clusters.centroids[n];
    space.indicators.emplace_back(centroid, centroid + points.dim);
  }
  return space;
}

Status SetWeights(const adapters::TaskSpace& space, Mode mode, double temperature,
                  PoolItems& items) {
  for (PoolItem& item : items.items) {
    ONDINE_ASSIGN(const auto similarities, adapters::Similarities(space, item.feature));
    const std::vector<double> weights = adapters::SoftmaxOf(similarities, temperature);
    item.weights.assign(weights.begin(), weights.end());
    if (mode == Mode::kJoint) continue;
    const auto nearest = std::max_element(item.weights.begin(), item.weights.end());
    const auto index = nearest - item.weights.begin();
    std::fill(item.weights.begin(), item.weights.end(), 0.0f);
    item.weights[static_cast<std::size_t>(index)] = 1;
  }
  return {};
}

double MeanEntropy(const PoolItems& items) {
  double total = 0;
  for (const PoolItem& item : items.items) {
    for (const float weight : item.weights) {
      if (weight > 0) total -= static_cast<double>(weight * std::log(weight));
    }
  }
  return items.items.empty() ? 0 : total / static_cast<double>(items.items.size());
}

std::vector<std::size_t> EpochOrder(std::size_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  base::Random random(seed * 1000003 + static_cast<std::uint64_t>(epoch));
  base::Shuffle(order, random);
  return order;
}

std::vector<std::vector<const PoolItem*>> GroupByLength(std::vector<const PoolItem*> batch,
                                                        int rank, int processes,
                                                        std::size_t max_tokens) {
  std::stable_sort(batch.begin(), batch.end(), [](const PoolItem* a, const PoolItem* b) {
    return a->choice.tree.size() > b->choice.tree.size();
  });
  std::vector<std::vector<const PoolItem*>> groups;
  // Longest first: a group's first item is what the others are padded to.
  for (std::size_t i = static_cast<std::size_t>(rank); i < batch.size();
       i += static_cast<std::size_t>(processes)) {
    if (groups.empty() ||
        (groups.back().size() + 1) * groups.back().front()->choice.tree.size() > max_tokens) {
      groups.emplace_back();
    }
    groups.back().push_back(batch[i]);
  }
  return groups;
}

}  // namespace ondine::train
