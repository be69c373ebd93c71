#include "engine/passages.h"

#include <algorithm>
#include <numeric>

#include "engine/prompt_format.h"
#include "memory/rarity.h"
#include "text/bm25.h"

namespace ondine::engine {
namespace {

using memory::KnownToken;
using memory::TokenId;
using Passage = std::span<const KnownToken>;

constexpr std::size_t kShortest = 32, kLongest = 96;  // tokens
constexpr double kWorst = 0.5;                        // of the best one's score

// Passages end where sentences do or where the text between is no longer known.
std::vector<Passage> Cut(const memory::SentenceEnds& ends, std::span<const KnownToken> known,
                         std::size_t longest) {
  const std::size_t shortest = std::min(kShortest, longest / 2);
  std::vector<Passage> passages;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < known.size(); ++i) {
    const std::size_t length = i + 1 - begin;
    const bool gap = i + 1 == known.size() || known[i + 1].origin - known[i].origin != 1;
    const bool sentence = ends[static_cast<std::size_t>(known[i].token)];
    if (gap || (sentence && length >= shortest) || length >= longest) {
      passages.push_back(known.subspan(begin, length));
      begin = i + 1;
    }
  }
  return passages;
}

// Words like "what" or "about" stand in every question, however rare they are in the text. 0 for
// the most frequent words, 1 for those of several tokens.
double Weight(const Model& model, std::string_view word) {
  const std::vector<TokenId> tokens =
      EncodeText(model.parts(), std::string(" ").append(word), true);
  if (tokens.size() != 1) return 1;
  const double least = memory::Rarity(0);
  const double share =
      (memory::Rarity(tokens[0]) - least) / (memory::Rarity(model.info().vocabulary) - least);
  return share * share;
}

std::vector<double> Scores(const Model& model, const std::vector<Passage>& passages,
                           std::string_view question) {
  text::Bm25 ranking(question, [&](std::string_view word) { return Weight(model, word); });
  std::string text;
  for (const Passage& passage : passages) {
    text.clear();
    for (const KnownToken& token : passage) text += model.parts().tokenizer.Piece(token.token);
    ranking.Add(text);
  }
  return ranking.Scores();
}

}  // namespace

Passages FindPassages(const Model& model, std::span<const KnownToken> known,
                      std::string_view question, std::int64_t most_tokens) {
  Passages found;
  const std::vector<TokenId> gap = EncodeText(model.parts(), "\n\n", true);
  if (most_tokens <= static_cast<std::int64_t>(gap.size())) return found;
  auto room = static_cast<std::size_t>(most_tokens);
  const std::vector<Passage> passages =
      Cut(*model.parts().sentence_ends, known, std::min(kLongest, room - gap.size()));
  const std::vector<double> scores = Scores(model, passages, question);
  std::vector<std::size_t> order(passages.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<std::size_t> chosen;
  for (const std::size_t i : order) {
    if (scores[i] <= 0 || scores[i] < kWorst * scores[order[0]]) break;
    const std::size_t size = gap.size() + passages[i].size();
    if (size > room) continue;
    room -= size;
    chosen.push_back(i);
  }
  std::sort(chosen.begin(), chosen.end());
  for (const std::size_t i : chosen) {
    std::vector<TokenId> tokens;
    for (const KnownToken& token : passages[i]) tokens.push_back(token.token);
    found.tokens.insert(found.tokens.end(), gap.begin(), gap.end());
    found.tokens.insert(found.tokens.end(), tokens.begin(), tokens.end());
    found.texts.push_back(model.Detokenize(tokens));
  }
  return found;
}

}  // namespace ondine::engine
