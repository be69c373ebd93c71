// What a pot knows of its text besides keys and values: tokens, a few bytes each. Passages that a
// question is about can be read from it once more.
#ifndef ONDINE_SRC_MEMORY_ARCHIVE_H_
#define ONDINE_SRC_MEMORY_ARCHIVE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/sentences.h"

namespace ondine::memory {

using TokenId = std::int32_t;

// What one KV head knows of its entries besides keys and values; ascending by origin.
struct HeadEntries {
  std::vector<std::int32_t> origin;  // index in the stream
  std::vector<float> surprise;       // when it was read, in nats: by itself or of its sentence
};
using LayerEntries = std::vector<HeadEntries>;  // none in a sliding-window layer

struct KnownToken {
  std::int32_t origin;
  TokenId token;
  float surprise;         // of its sentence
  std::uint32_t holders;  // heads that hold its key and value, when they were last counted
};

class Archive {
 public:
  // Knows `most` tokens after Trim(), or those that half of the heads hold where these are more.
  Archive(std::int64_t most, std::shared_ptr<const SentenceEnds> ends);

  // Makes room for as many as are ever known when heads hold `held` each and at most `untrimmed`
  // are added between two calls of Trim().
  void Reserve(std::int64_t held, std::int64_t untrimmed);
  // Tokens that follow all others; the first has index `origin` in the stream.
  void Append(std::int64_t origin, std::span<const TokenId> tokens,
              std::span<const float> surprise);
  void EndSentence() { sentence_.Clear(); }
  // Where too many are known, the least surprising go, and a quarter more than need be, so that it
  // does not come to this often. What half of the heads hold stays; of equals the newer.
  void Trim(const std::vector<LayerEntries>& entries);
  void CountHolders(const std::vector<LayerEntries>& entries);
  // Forgets the tokens from `origin` on.
  void Truncate(std::int64_t origin);
  // Takes up what was saved.
  void Assign(std::vector<KnownToken> tokens) { tokens_ = std::move(tokens); }

  std::span<const KnownToken> tokens() const { return tokens_; }
  std::size_t bytes() const { return tokens_.capacity() * sizeof(KnownToken); }

 private:
  std::size_t most_;
  SentenceMean sentence_;           // the one being added
  std::vector<KnownToken> tokens_;  // ascending by origin
};

std::size_t CountHeads(const std::vector<LayerEntries>& entries);
// Whether at least half of the heads hold the token.
inline bool IsHeld(const KnownToken& token, std::size_t heads) {
  return token.holders > 0 && 2 * token.holders >= heads;
}

}  // namespace ondine::memory

#endif  // ONDINE_SRC_MEMORY_ARCHIVE_H_
