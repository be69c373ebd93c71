#include "train/choice_loss.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace ondine::train {
namespace {

using torch::Tensor;

// What is predicted in a batch, as indices.
struct Predictions {
  std::vector<std::int64_t> places;   // of the final norm's outputs, each once
  std::vector<std::int64_t> sources;  // into `places`, for each predicted token
  std::vector<std::int64_t> targets;
  std::vector<std::int64_t> options;  // each predicted token's, counted through the batch
  std::vector<float> lengths;         // of each option
};

Predictions Collect(std::span<const ChoiceTree* const> items, std::size_t time) {
  Predictions predictions;
  std::vector<std::int64_t> index(items.size() * time, -1);
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (const std::vector<Prediction>& option : items[i]->options) {
      for (const Prediction& prediction : option) {
        const std::size_t place = i * time + prediction.source;
        if (index[place] < 0) {
          index[place] = static_cast<std::int64_t>(predictions.places.size());
          predictions.places.push_back(static_cast<std::int64_t>(place));
        }
        predictions.sources.push_back(index[place]);
        predictions.targets.push_back(prediction.target);
        predictions.options.push_back(static_cast<std::int64_t>(predictions.lengths.size()));
      }
      predictions.lengths.push_back(static_cast<float>(option.size()));
    }
  }
  return predictions;
}

}  // namespace

ChoiceLosses ComputeLosses(const DecoderTwin& twin, const Additions* additions,
                           std::span<const ChoiceTree* const> items) {
  std::vector<const TokenTree*> rows;
  std::size_t most_options = 0;
  for (const ChoiceTree* item : items) {
    rows.push_back(&item->tree);
    most_options = std::max(most_options, item->options.size());
  }
  const Tensor hidden = twin.Hidden(rows, {.additions = additions});
  const Predictions predictions = Collect(items, static_cast<std::size_t>(hidden.size(1)));
  const auto on_device = [&](const auto& values) {
    return torch::tensor(values).to(twin.device());
  };
  const Tensor likelihoods =
      twin.LogLikelihoods(hidden.flatten(0, 1).index_select(0, on_device(predictions.places)),
                          on_device(predictions.sources), on_device(predictions.targets));
  const Tensor lengths = on_device(predictions.lengths);
  const Tensor sums =
      torch::zeros_like(lengths).index_add(0, on_device(predictions.options), likelihoods);

  // [items][most options], where there are fewer the index of a score that is never chosen.
  const auto none = static_cast<std::int64_t>(predictions.lengths.size());
  std::vector<std::int64_t> table(items.size() * most_options, none), gold, gold_option;
  std::int64_t option = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    gold.push_back(static_cast<std::int64_t>(items[i]->gold));
    gold_option.push_back(option + gold.back());
    for (std::size_t k = 0; k < items[i]->options.size(); ++k)
      table[i * most_options + k] = option++;
  }
  const Tensor worst = torch::full({1}, -std::numeric_limits<float>::infinity(), sums.options());
  const Tensor scores = torch::cat({sums / lengths, worst})
                            .index_select(0, on_device(table))
                            .view({static_cast<std::int64_t>(items.size()), -1});
  const Tensor right_option = on_device(gold);
  ChoiceLosses losses;
  losses.answer = -sums.index_select(0, on_device(gold_option));
  losses.choice = -torch::log_softmax(scores, -1).gather(1, right_option.unsqueeze(1)).squeeze(1);
  losses.right = (scores.detach().argmax(-1) == right_option).to(torch::kFloat);
  return losses;
}

}  // namespace ondine::train
