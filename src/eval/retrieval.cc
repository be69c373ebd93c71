#include "eval/retrieval.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "text/bm25.h"

namespace ondine::eval {
namespace {

constexpr std::size_t kChunkTokens = 256;

struct Chunk {
  std::string text;
  std::int64_t tokens = 0;
};

std::vector<Chunk> Cut(const Model& model, std::string_view text) {
  const std::vector<TokenId> tokens = model.Tokenize(text, false);
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < tokens.size(); i += kChunkTokens) {
    const std::size_t end = std::min(i + kChunkTokens, tokens.size());
    chunks.push_back({model.Detokenize({tokens.begin() + static_cast<std::ptrdiff_t>(i),
                                        tokens.begin() + static_cast<std::ptrdiff_t>(end)}),
                      static_cast<std::int64_t>(end - i)});
  }
  return chunks;
}

}  // namespace

std::string Retrieve(const Model& model, std::string_view text, std::string_view question,
                     std::int64_t max_tokens) {
  const std::vector<Chunk> chunks = Cut(model, text);
  text::Bm25 ranking(question);
  for (const Chunk& chunk : chunks) ranking.Add(chunk.text);
  const std::vector<double> scores = ranking.Scores();
  std::vector<std::size_t> order(chunks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::set<std::size_t> chosen;
  std::int64_t total = 0;
  for (std::size_t i : order) {
    if (total + chunks[i].tokens > max_tokens) break;
    total += chunks[i].tokens;
    chosen.insert(i);
  }
  std::string result;
  for (std::size_t i : chosen) result += (result.empty() ? "" : "\n") + chunks[i].text;
  return result;
}

}  // namespace ondine::eval
