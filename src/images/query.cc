// Clip::EncodeQuery(): a query's markup, tokens, strengths and vector.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/guarded.h"
#include "base/quote.h"
#include "base/try.h"
#include "images/clip_parts.h"
#include "images/query_text.h"
#include "images/vector_math.h"
#include "models/unit_length.h"
#include "text/weighted_prompt.h"

namespace ondine {
namespace {

using images::Dot;
using images::MakeInput;
using images::TextTokens;
using images::TowerInput;

// Above this a word leaves little of the others.
constexpr double kStrong = 10;

class QueryEncoder {
 public:
  QueryEncoder(Clip::Parts& parts, const QueryOptions& options) : parts_(parts), options_(options) {
    place_.first_block = options.first_block;
  }

  Result<EncodedQuery> Encode(const text::WeightedPrompt& prompt) {
    TextTokens tokens = parts_.tokenizer.Encode(prompt.text);
    if (tokens.empty()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       prompt.unwanted.empty() ? "the query is empty"
                                               : "the query names only what is not wanted");
    }
    std::vector<double> weights = text::TokenWeights(prompt, tokens);
    Cut("the query", tokens, weights);
    if (std::ranges::all_of(weights, [](double weight) { return weight == 0; })) {
      query_.notes.emplace_back("every word has the strength 0: nothing is asked for");
    }
    TowerInput input = MakeInput(parts_.tokenizer, tokens, weights);
    if (options_.mode == StrengthMode::kDifference) {
      query_.vector = ByDifferences(tokens, weights);
      input.log_weights.clear();
    } else {
      query_.vector = Vector(input);
    }
    query_.canonical = text::CanonicalQuery(prompt);
    const std::vector<images::TextWord> words = images::WordsOf(tokens, weights);
    AddWords(prompt.text, words, weights);

    if (options_.explain) Explain(words, input);
    ONDINE_TRY(Subtract(prompt.unwanted));
    if (options_.explain && query_.vector != query_.plain_vector) {
      query_.plain_similarity = Dot(query_.vector, query_.plain_vector);
    }
    return std::move(query_);
  }

 private:
  std::vector<float> Vector(const TowerInput& input) {
    std::vector<float> vector(static_cast<std::size_t>(parts_.info.vector_length));
    const models::ClipText text = input.Text();
    parts_.pass->EncodeTexts({&text, 1}, place_, vector.data());
    return vector;
  }

  // Words beside each other that have one strength are taken together.
  std::vector<float> ByDifferences(const TextTokens& tokens, const std::vector<double>& weights) {
    const std::vector<float> plain = Vector(MakeInput(parts_.tokenizer, tokens, {}));
    std::vector<float> moved = plain;
    for (std::size_t first = 0, end = 0; first < tokens.size(); first = end) {
      while (end < tokens.size() && weights[end] == weights[first]) ++end;
      if (weights[first] == 1) continue;
      std::vector<double> hiding(tokens.size(), 1.0);
      std::fill(hiding.begin() + static_cast<std::ptrdiff_t>(first),
                hiding.begin() + static_cast<std::ptrdiff_t>(end), 0.0);
      const std::vector<float> without = Vector(MakeInput(parts_.tokenizer, tokens, hiding));
      const auto share = static_cast<float>(weights[first] - 1);
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += share * (plain[i] - without[i]);
    }
    if (moved != plain) models::ScaleToUnitLength(moved);
    return moved;
  }

  // Drops what the encoder has no place for.
  void Cut(const std::string& what, TextTokens& tokens, std::vector<double>& weights) {
    const auto most = static_cast<std::size_t>(parts_.info.longest_text);
    if (tokens.size() <= most) return;
    const auto weighted = std::count_if(weights.begin() + static_cast<std::ptrdiff_t>(most),
                                        weights.end(), [](double weight) { return weight != 1; });
    query_.notes.push_back(what + " has " + std::to_string(tokens.size()) +
                           " tokens, of which the first " + std::to_string(most) + " count" +
                           (weighted > 0 ? "; a strength stands behind them" : ""));
    tokens.resize(most);
    weights.resize(most);
  }

  void AddWords(const std::string& text, const std::vector<images::TextWord>& words,
                const std::vector<double>& weights) {
    for (const images::TextWord& place : words) {
      EncodedQuery::Word word;
      word.text = text.substr(place.first_byte, place.end_byte - place.first_byte);
      word.weight = weights[place.begin];
      query_.words.push_back(std::move(word));
    }
    if (std::ranges::any_of(weights, [](double weight) { return weight > kStrong; })) {
      query_.notes.emplace_back("a strength above 10 leaves little of the other words");
    }
  }

  void Explain(const std::vector<images::TextWord>& words, const TowerInput& input) {
    TowerInput plain = input;
    plain.log_weights.clear();
    query_.plain_vector = Vector(plain);
    const std::vector<double> with = TokenShares(input), without = TokenShares(plain);
    for (std::size_t i = 0; i < words.size(); ++i) {
      for (std::size_t token = words[i].begin; token < words[i].end; ++token) {
        query_.words[i].share += with[token + 1];
        query_.words[i].share_plain += without[token + 1];
      }
    }
  }

  // Mean over blocks.
  std::vector<double> TokenShares(const TowerInput& input) {
    const std::vector<float> shares = parts_.pass->AttentionShares(input.Text(), place_);
    std::vector<double> mean(input.ids.size());
    const double blocks = parts_.weights->spec().text.layers;
    for (std::size_t i = 0; i < shares.size(); ++i) mean[i % mean.size()] += shares[i] / blocks;
    return mean;
  }

  Status Subtract(const std::vector<text::WeightedPrompt::Unwanted>& unwanted) {
    if (unwanted.empty()) return {};
    for (const auto& phrase : unwanted) {
      TextTokens tokens = parts_.tokenizer.Encode(phrase.text);
      if (tokens.size() == 0) {
        return MakeError(ErrorCode::kInvalidArgument,
                         "there are no words in what is not wanted: " + base::Quote(phrase.text));
      }
      std::vector<double> weights(tokens.size(), 1.0);
      Cut("what is not wanted", tokens, weights);
      const std::vector<float> vector = Vector(MakeInput(parts_.tokenizer, tokens, weights));
      // From both, so that they differ by strengths alone.
      for (std::vector<float>* from : {&query_.vector, &query_.plain_vector}) {
        for (std::size_t i = 0; i < from->size(); ++i) {
          (*from)[i] -= static_cast<float>(phrase.strength) * vector[i];
        }
      }
      query_.unwanted.push_back(phrase.text);
    }
    if (options_.explain) models::ScaleToUnitLength(query_.plain_vector);
    // Below this it is rounding.
    constexpr double kNothing = 1e-4;
    if (models::ScaleToUnitLength(query_.vector) > kNothing) return {};
    return MakeError(ErrorCode::kInvalidArgument,
                     "nothing is left of the query: what is wanted is also not wanted");
  }

  Clip::Parts& parts_;
  const QueryOptions& options_;
  models::WeightPlace place_;
  EncodedQuery query_;
};

}  // namespace

Result<EncodedQuery> Clip::EncodeQuery(std::string_view query, const QueryOptions& options) {
  const int blocks = parts_->weights->spec().text.layers;
  if (options.first_block < 0 || options.first_block >= blocks) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the text encoder has the blocks 0 to " + std::to_string(blocks - 1));
  }
  if (options.first_block > 0 && options.mode != StrengthMode::kAttention) {
    return MakeError(ErrorCode::kInvalidArgument, "a first block is for strengths in attention");
  }
  return base::Guarded([&]() -> Result<EncodedQuery> {
    text::WeightedPrompt prompt;
    if (options.literal) {
      prompt.text = query;
    } else {
      ONDINE_ASSIGN(prompt, text::ParseWeightedPrompt(query));
    }
    return QueryEncoder(*parts_, options).Encode(prompt);
  });
}

}  // namespace ondine
