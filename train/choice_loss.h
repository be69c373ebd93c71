// Losses of questions with options.
#ifndef ONDINE_TRAIN_CHOICE_LOSS_H_
#define ONDINE_TRAIN_CHOICE_LOSS_H_

#include <torch/types.h>

#include <span>

#include "train/decoder_twin.h"
#include "train/token_tree.h"

namespace ondine::train {

// All [items].
struct ChoiceLosses {
  torch::Tensor answer;  // -log p of the right option's tokens, summed
  torch::Tensor choice;  // cross-entropy over the options' mean token log-likelihoods
  torch::Tensor right;   // 1 where the right option has the highest mean, else 0; no gradient
};

// One pass over all items. `additions` may be null.
ChoiceLosses ComputeLosses(const DecoderTwin& twin, const Additions* additions,
                           std::span<const ChoiceTree* const> items);

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CHOICE_LOSS_H_
