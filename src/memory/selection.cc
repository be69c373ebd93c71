#include "memory/selection.h"

#include <algorithm>
#include <cmath>

namespace ondine::memory {

void MeanOverNeighbours(std::span<float> values, int span, std::vector<float>& buffer) {
  if (span <= 1) return;
  const std::int64_t n = static_cast<std::int64_t>(values.size());
  const std::int64_t before = (span - 1) / 2;
  const std::int64_t after = span - 1 - before;
  // A sum that slides along, in double: the mean must not depend on how far from the start an entry
  // stands.
  double sum = 0;
  buffer.assign(values.begin(), values.end());
  std::int64_t begin = 0, end = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (; end < std::min(n, i + after + 1); ++end) sum += buffer[static_cast<std::size_t>(end)];
    for (; begin < i - before; ++begin) sum -= buffer[static_cast<std::size_t>(begin)];
    values[static_cast<std::size_t>(i)] =
        static_cast<float>(sum / static_cast<double>(end - begin));
  }
}

Status Choose(std::span<const Ranking> rankings, std::vector<char>& kept) {
  std::vector<std::int32_t> open;
  for (const Ranking& ranking : rankings) {
    open.clear();
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (std::isnan(ranking.scores[i])) {
        return MakeError(ErrorCode::kCorrupt,
                         "the scores by which the pot is distilled are no numbers: the model's "
                         "weights or an adapter's are damaged, or too large");
      }
      if (!kept[i]) open.push_back(static_cast<std::int32_t>(i));
    }
    const auto count =
        std::min<std::int64_t>(ranking.count, static_cast<std::int64_t>(open.size()));
    if (count <= 0) continue;
    std::nth_element(open.begin(), open.begin() + (count - 1), open.end(),
                     [&](std::int32_t a, std::int32_t b) {
                       const float x = ranking.scores[static_cast<std::size_t>(a)];
                       const float y = ranking.scores[static_cast<std::size_t>(b)];
                       return x != y ? x > y : a < b;
                     });
    for (std::int64_t i = 0; i < count; ++i) {
      kept[static_cast<std::size_t>(open[static_cast<std::size_t>(i)])] = 1;
    }
  }
  return {};
}

std::vector<std::int32_t> Marked(const std::vector<char>& kept) {
  std::vector<std::int32_t> indices;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) indices.push_back(static_cast<std::int32_t>(i));
  }
  return indices;
}

}  // namespace ondine::memory
