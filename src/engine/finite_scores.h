// Scores of a model that must be numbers.
#ifndef ONDINE_SRC_ENGINE_FINITE_SCORES_H_
#define ONDINE_SRC_ENGINE_FINITE_SCORES_H_

#include <span>

#include "ondine/result.h"

namespace ondine::engine {

// Weights or adapters that are damaged, or scaled beyond what floats hold, make scores that are no
// numbers: kCorrupt.
Status CheckScores(std::span<const float> scores);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_FINITE_SCORES_H_
