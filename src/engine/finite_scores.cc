#include "engine/finite_scores.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace ondine::engine {

Status CheckScores(std::span<const float> scores) {
  // 0 of a number, NaN of what is none; side by side, since there may be a quarter of a million.
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> wrong{};
  std::size_t i = 0;
  for (; i + kLanes <= scores.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      wrong[lane] += scores[i + lane] - scores[i + lane];
    }
  }
  for (; i < scores.size(); ++i) wrong[0] += scores[i] - scores[i];
  if (std::ranges::all_of(wrong, [](float value) { return value == 0; })) return {};
  return MakeError(ErrorCode::kCorrupt,
                   "the model's scores of the next token are no numbers: its weights or an "
                   "adapter's are damaged, or too large");
}

}  // namespace ondine::engine
