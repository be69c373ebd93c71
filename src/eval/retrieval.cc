#include "eval/retrieval.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

namespace ondine::eval {
namespace {

constexpr std::size_t kChunkTokens = 256;
constexpr double kK1 = 1.2, kB = 0.75;

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 0x80) {
      word += static_cast<char>(std::tolower(byte));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

struct Chunk {
  std::string text;
  std::int64_t tokens = 0;
  std::map<std::string, int> counts;
  double length = 0;  // words
};

std::vector<Chunk> Cut(const Model& model, std::string_view text) {
  const std::vector<TokenId> tokens = model.Tokenize(text, false);
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < tokens.size(); i += kChunkTokens) {
    const std::size_t end = std::min(i + kChunkTokens, tokens.size());
    Chunk chunk;
    chunk.text = model.Detokenize({tokens.begin() + static_cast<std::ptrdiff_t>(i),
                                   tokens.begin() + static_cast<std::ptrdiff_t>(end)});
    chunk.tokens = static_cast<std::int64_t>(end - i);
    for (const std::string& word : Words(chunk.text)) {
      ++chunk.counts[word];
      ++chunk.length;
    }
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

}  // namespace

std::string Retrieve(const Model& model, std::string_view text, std::string_view question,
                     std::int64_t max_tokens) {
  const std::vector<Chunk> chunks = Cut(model, text);
  const std::vector<std::string> list = Words(question);
  const std::set<std::string> terms(list.begin(), list.end());
  const auto n = static_cast<double>(chunks.size());
  const double mean_length =
      std::accumulate(chunks.begin(), chunks.end(), 0.0,
                      [](double sum, const Chunk& chunk) { return sum + chunk.length; }) /
      std::max(1.0, n);
  std::vector<double> scores(chunks.size(), 0.0);
  for (const std::string& term : terms) {
    const auto containing =
        static_cast<double>(std::count_if(chunks.begin(), chunks.end(), [&](const Chunk& chunk) {
          return chunk.counts.contains(term);
        }));
    const double rarity = std::log(1 + (n - containing + 0.5) / (containing + 0.5));
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const auto found = chunks[i].counts.find(term);
      if (found == chunks[i].counts.end()) continue;
      const double count = found->second;
      scores[i] += rarity * count * (kK1 + 1) /
                   (count + kK1 * (1 - kB + kB * chunks[i].length / mean_length));
    }
  }
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
