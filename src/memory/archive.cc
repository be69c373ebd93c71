#include "memory/archive.h"

#include <algorithm>

namespace ondine::memory {

std::size_t CountHeads(const std::vector<LayerEntries>& entries) {
  std::size_t heads = 0;
  for (const LayerEntries& layer : entries) heads += layer.size();
  return heads;
}

Archive::Archive(std::int64_t most, std::shared_ptr<const SentenceEnds> ends)
    : most_(static_cast<std::size_t>(most)), sentence_(std::move(ends)) {}

void Archive::Reserve(std::int64_t held, std::int64_t untrimmed) {
  // Half of the heads can agree on twice as many tokens as one of them holds, and on no more.
  tokens_.reserve(std::max(most_, static_cast<std::size_t>(2 * held)) +
                  static_cast<std::size_t>(untrimmed));
}

void Archive::Append(std::int64_t origin, std::span<const TokenId> tokens,
                     std::span<const float> surprise) {
  for (std::size_t i = 0; i < tokens.size(); ++i, ++origin) {
    tokens_.push_back({static_cast<std::int32_t>(origin), tokens[i], surprise[i], 0});
    sentence_.Add(tokens[i], surprise[i]);
    if (!sentence_.ended() && i + 1 < tokens.size()) continue;
    const std::int64_t begin = origin + 1 - sentence_.length();
    for (auto token = tokens_.rbegin(); token != tokens_.rend() && token->origin >= begin;
         ++token) {
      token->surprise = sentence_.mean();
    }
    if (sentence_.ended()) sentence_.Clear();
  }
}

void Archive::CountHolders(const std::vector<LayerEntries>& entries) {
  for (KnownToken& token : tokens_) token.holders = 0;
  for (const LayerEntries& layer : entries) {
    for (const HeadEntries& head : layer) {
      auto token = tokens_.begin();
      for (const std::int32_t origin : head.origin) {
        while (token != tokens_.end() && token->origin < origin) ++token;
        if (token != tokens_.end() && token->origin == origin) ++token->holders;
      }
    }
  }
}

void Archive::Trim(const std::vector<LayerEntries>& entries) {
  if (tokens_.size() <= most_) return;
  CountHolders(entries);
  const auto unheld = std::partition(
      tokens_.begin(), tokens_.end(),
      [heads = CountHeads(entries)](const KnownToken& token) { return IsHeld(token, heads); });
  const std::size_t held = static_cast<std::size_t>(unheld - tokens_.begin());
  const std::size_t stay = std::clamp(most_ - most_ / 4, held, tokens_.size());
  if (stay < tokens_.size()) {
    std::nth_element(unheld, tokens_.begin() + static_cast<std::ptrdiff_t>(stay), tokens_.end(),
                     [](const KnownToken& a, const KnownToken& b) {
                       return a.surprise != b.surprise ? a.surprise > b.surprise
                                                       : a.origin > b.origin;
                     });
    tokens_.resize(stay);
  }
  std::sort(tokens_.begin(), tokens_.end(),
            [](const KnownToken& a, const KnownToken& b) { return a.origin < b.origin; });
}

void Archive::Truncate(std::int64_t origin) {
  while (!tokens_.empty() && tokens_.back().origin >= origin) tokens_.pop_back();
}

}  // namespace ondine::memory
