// Questions with choices as a pool's training sees them: tokens, and where they lie among its
// tasks.
#ifndef ONDINE_TRAIN_POOL_ITEMS_H_
#define ONDINE_TRAIN_POOL_ITEMS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "adapters/feature.h"
#include "adapters/pool.h"
#include "eval/mcqa_data.h"
#include "models/decoder.h"
#include "ondine/result.h"
#include "text/tokenizer.h"
#include "train/token_tree.h"

namespace ondine::train {

struct PoolItem {
  std::string task;  // the set that it comes from
  ChoiceTree choice;
  std::vector<float> feature;  // of the prompt
  std::vector<float> weights;  // of the adapters
};

struct PoolItems {
  std::vector<PoolItem> items;
  std::size_t too_long = 0;  // left out

  std::size_t Tokens() const;       // of all trees
  std::string Fingerprint() const;  // of all that training sees of them, weights included
};

enum class Options { kAll, kRightOne };

// Leaves out items of more than `max_length` tokens. kInvalidArgument for an item without a prompt,
// or with a choice where nothing stands before or in what is scored.
Result<PoolItems> TokenizeItems(std::span<const eval::McqaItem> items,
                                const text::Tokenizer& tokenizer,
                                const adapters::FeatureReader& features, Options options,
                                std::size_t max_length);

// A user's task is told by several examples, whose mean feature finds its place far better than one
// question does. So that training sees such places too, each item gets the mean feature of a group
// of `size` items of its set, drawn at random, itself among them (the last group takes what is left
// over; of the whole set where it is smaller). 1 changes nothing.
void ShareFeatures(std::size_t size, std::uint64_t seed, PoolItems& items);

// Clusters the features. kInvalidArgument where there are fewer different ones than clusters.
Result<adapters::TaskSpace> FindTasks(const PoolItems& training, int count, std::uint64_t seed);

enum class Mode {
  kJoint,        // an item trains the blend that a user with its task would get
  kIndependent,  // an item trains the adapter of its cluster alone
};
Status SetWeights(const adapters::TaskSpace& space, Mode mode, double temperature,
                  PoolItems& items);
// Mean entropy of the items' weights in nats: log(adapters) where all are equal, 0 where one has
// all.
double MeanEntropy(const PoolItems& items);

// The order of an epoch, then cut into batches: which items a process computes in one step, in
// groups of similar length with at most `max_tokens` tokens, padding included, or one item.
std::vector<std::size_t> EpochOrder(std::size_t count, std::uint64_t seed, std::int64_t epoch);
std::vector<std::vector<const PoolItem*>> GroupByLength(std::vector<const PoolItem*> batch,
                                                        int rank, int processes,
                                                        std::size_t max_tokens);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_POOL_ITEMS_H_
