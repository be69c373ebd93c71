// What is measured of a CLIP in training.
#ifndef ONDINE_TRAIN_CLIP_SCORES_H_
#define ONDINE_TRAIN_CLIP_SCORES_H_

#include <array>
#include <cstdint>

namespace ondine::train {

// Share of the queries that have a right answer among the first 1, 5 and 10.
using Recall = std::array<double, 3>;
inline constexpr std::array<std::int64_t, 3> kRecallAt = {1, 5, 10};

struct ZeroShotScore {
  double accuracy = 0;
  double balanced = 0;  // mean over the classes of the share of their photos that is found
};

struct ClipScores {
  Recall photos_by_name{}, names_by_photo{};
  ZeroShotScore type, colour, gender;
};

}  // namespace ondine::train

#endif  // ONDINE_TRAIN_CLIP_SCORES_H_
