// Captions whose words have strengths, and how well photos suit them: what a text tower learns from
// that is to follow strengths.
#ifndef ONDINE_TRAIN_WEIGHTED_CAPTIONS_H_
#define ONDINE_TRAIN_WEIGHTED_CAPTIONS_H_

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "text/weighted_prompt.h"
#include "train/fashion_data.h"

namespace ondine::train {

struct WeightedCaption {
  struct Said {
    std::string what;  // as PhotoSayings knows it
    double strength;
  };
  text::WeightedPrompt prompt;
  std::vector<Said> said;  // nothing, or something of a strength above 0
};

// "a photo of (red:3) shirts", "(puma:0) running shoe": two attributes or more, or the words of the
// name, some of them with a strength of 0 or between 1/6 and 10.
WeightedCaption DrawWeightedCaption(const FashionItem& item, base::Random& random);

// What captions can say of photos: the values of their attributes, and the words of their names and
// of these values.
class PhotoSayings {
 public:
  explicit PhotoSayings(const std::vector<FashionItem>& items);

  // The share of a caption's strength that is true of each of the photos `index` [photos], int64:
  // [photos].
  torch::Tensor Share(const WeightedCaption& caption, const torch::Tensor& index) const;

 private:
  std::unordered_map<std::string, std::int32_t> numbers_;
  std::vector<std::vector<std::int32_t>> of_photo_;  // sorted
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_WEIGHTED_CAPTIONS_H_
