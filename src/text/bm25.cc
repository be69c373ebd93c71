#include "text/bm25.h"

#include <algorithm>
#include <cmath>

#include "text/words.h"

namespace ondine::text {
namespace {

constexpr double kK1 = 1.2, kB = 0.75;

}  // namespace

Bm25::Bm25(std::string_view query, const Weight& weight) {
  const std::vector<std::string> stems = Words(query);
  const std::vector<std::string> whole = Words(query, query.size());
  for (std::size_t i = 0; i < stems.size(); ++i) {
    if (!terms_.emplace(stems[i], terms_.size()).second) continue;
    weights_.push_back(weight ? weight(whole[i]) : 1);
  }
}

void Bm25::Add(std::string_view text) {
  Text& added = texts_.emplace_back();
  added.counts.resize(terms_.size());
  for (const std::string& word : Words(text)) {
    ++added.words;
    const auto term = terms_.find(word);
    if (term != terms_.end()) ++added.counts[term->second];
  }
}

std::vector<double> Bm25::Scores() const {
  const auto n = static_cast<double>(texts_.size());
  double words = 0;
  for (const Text& text : texts_) words += text.words;
  const double mean_length = std::max(1.0, words / std::max(1.0, n));
  std::vector<double> scores(texts_.size(), 0.0);
  for (std::size_t term = 0; term < terms_.size(); ++term) {
    const auto containing = static_cast<double>(std::count_if(
        texts_.begin(), texts_.end(), [&](const Text& text) { return text.counts[term] > 0; }));
    const double rarity = std::log(1 + (n - containing + 0.5) / (containing + 0.5));
    for (std::size_t i = 0; i < texts_.size(); ++i) {
      const double count = texts_[i].counts[term];
      scores[i] += weights_[term] * rarity * count * (kK1 + 1) /
                   (count + kK1 * (1 - kB + kB * texts_[i].words / mean_length));
    }
  }
  return scores;
}

}  // namespace ondine::text
