// Ranks texts by the words they share with a query: Okapi BM25 with k1 = 1.2, b = 0.75 (Robertson
// and Zaragoza, The Probabilistic Relevance Framework, 2009).
#ifndef ONDINE_SRC_TEXT_BM25_H_
#define ONDINE_SRC_TEXT_BM25_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ondine::text {

// Keeps counts of the query's words only, not the texts.
class Bm25 {
 public:
  // How much a word of the query counts by itself, beside being rare in the texts; called with
  // whole words in lower case.
  using Weight = std::function<double(std::string_view word)>;
  explicit Bm25(std::string_view query, const Weight& weight = nullptr);

  void Add(std::string_view text);
  // Of every text added so far, in that order: 0 where it has none of the query's words.
  std::vector<double> Scores() const;

 private:
  struct Text {
    std::vector<int> counts;  // of each of the query's words
    double words = 0;
  };
  std::unordered_map<std::string, std::size_t> terms_;
  std::vector<double> weights_;  // of the terms
  std::vector<Text> texts_;
};

}  // namespace ondine::text

#endif  // ONDINE_SRC_TEXT_BM25_H_
