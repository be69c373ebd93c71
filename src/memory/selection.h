// Which entries of one head survive a distillation, given their scores.
#ifndef ONDINE_SRC_MEMORY_SELECTION_H_
#define ONDINE_SRC_MEMORY_SELECTION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "ondine/result.h"

namespace ondine::memory {

// Running mean over `span` neighbours (fewer at the ends), in place; span 1 changes nothing.
void MeanOverNeighbours(std::span<float> values, int span, std::vector<float>& buffer);

// One way of ranking entries and how many of them it may choose.
struct Ranking {
  std::span<const float> scores;  // one per entry, larger is better
  std::int64_t count = 0;
};

// Marks in `kept` (already true: protected) first the best `count` unprotected entries of the first
// ranking, then of what is left the best of the second, and so on. Ties go to the earlier entry.
// kCorrupt where a score is NaN.
Status Choose(std::span<const Ranking> rankings, std::vector<char>& kept);

// Indices of the marked entries, ascending.
std::vector<std::int32_t> Marked(const std::vector<char>& kept);

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_SELECTION_H_
