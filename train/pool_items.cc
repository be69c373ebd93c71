#include "train/pool_items.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/try.h"
#include "eval/ruler_random.h"

namespace ondine::train {
namespace {

constexpr int kRestarts = 10;  // of k-means

// What is scored is what follows the context's tokens among those of both texts together.
Result<OptionTokens> Tokenize(const eval::McqaChoice& choice, const text::Tokenizer& tokenizer) {
  OptionTokens option;
  option.tokens = tokenizer.Encode(choice.context + choice.continuation);
  option.scored = tokenizer.Encode(choice.context).size();
  if (option.scored < 1 || option.scored >= option.tokens.size()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a choice needs text before what is scored, and something to score");
  }
  return option;
}

}  // namespace

std::size_t PoolItems::Tokens() const {
  std::size_t tokens = 0;
  for (const PoolItem& item : items) tokens += item.choice.tree.size();
  return tokens;
}

Result<PoolItems> TokenizeItems(std::span<const eval::McqaItem> items,
                                const text::Tokenizer& tokenizer, const QueryFeatures& features,
                                Options options, std::size_t max_length) {
  PoolItems result;
  for (const eval::McqaItem& item : items) {
    std::vector<OptionTokens> tokens;
    for (std::size_t k = 0; k < item.choices.size(); ++k) {
      if (options == Options::kRightOne && k != item.gold) continue;
      ONDINE_ASSIGN(OptionTokens option, Tokenize(item.choices[k], tokenizer));
      tokens.push_back(std::move(option));
    }
    PoolItem prepared;
    prepared.choice = BuildChoiceTree(tokens, options == Options::kAll ? item.gold : 0);
    if (prepared.choice.tree.size() > max_length) {
      ++result.too_long;
      continue;
    }
    const std::vector<std::int32_t> prompt = tokenizer.Encode(item.prompt, {.add_bos = false});
    if (prompt.empty()) return MakeError(ErrorCode::kInvalidArgument, "an item without a prompt");
    prepared.feature = features.Of(prompt);
    result.items.push_back(std::move(prepared));
  }
  return result;
}

Result<TaskSpace> FindTasks(const PoolItems& training, int adapters, std::uint64_t seed) {
  Points points;
  for (const PoolItem& item : training.items) {
    points.dim = item.feature.size();
    points.values.insert(points.values.end(), item.feature.begin(), item.feature.end());
  }
  TaskSpace space;
  space.mean = MeanOf(points.values, points.dim);
  for (std::size_t i = 0; i < points.count(); ++i) {
    Center(std::span(points.values).subspan(i * points.dim, points.dim), space.mean);
  }
  ONDINE_ASSIGN(Clusters clusters,
                FindClusters(points, static_cast<std::size_t>(adapters), kRestarts, seed));
  space.indicators = std::move(clusters.centroids);
  return space;
}

void SetWeights(const TaskSpace& space, Mode mode, double temperature, PoolItems& items) {
  for (PoolItem& item : items.items) {
    std::vector<float> z = item.feature;
    Center(z, space.mean);
    item.weights = BlendWeights(z, space.indicators, temperature);
    if (mode == Mode::kJoint) continue;
    const auto nearest = std::max_element(item.weights.begin(), item.weights.end());
    const auto index = nearest - item.weights.begin();
    std::fill(item.weights.begin(), item.weights.end(), 0.0f);
    item.weights[static_cast<std::size_t>(index)] = 1;
  }
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
  eval::Random random(seed * 1000003 + static_cast<std::uint64_t>(epoch));
  eval::Shuffle(order, random);
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
